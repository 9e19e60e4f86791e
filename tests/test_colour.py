"""Planes as RGB: known codes, and FFmpeg's conversion."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from davd.bitstream.show.colour import coefficients, to_rgb

MATRICES = {
    "bt709": Colorspace.ITU709,
    "fcc": Colorspace.FCC,
    "bt470bg": Colorspace.ITU601,
    "smpte170m": Colorspace.SMPTE170M,
    "smpte240m": Colorspace.SMPTE240M,
    "unspecified": None,
}


@pytest.mark.parametrize(
    ("matrix", "full", "planes", "rgb"),
    [
        ("bt709", False, (235, 128, 128), (255, 255, 255)),
        ("bt709", False, (63, 102, 240), (255, 1, 0)),  # red: Y 62.6, Cb 102.3, Cr 240
        ("smpte170m", False, (81, 90, 240), (255, 0, 0)),
        ("unspecified", True, (0, 128, 128), (0, 0, 0)),
        ("gbr", True, (10, 20, 30), (30, 10, 20)),
    ],
)
def test_colours_of_known_codes(
    matrix: str, full: bool, planes: tuple[int, ...], rgb: tuple[int, ...]
) -> None:
    sizes = [(4, 4), (2, 2), (2, 2)]
    arrays = [np.full(s, v, np.uint8) for s, v in zip(sizes, planes, strict=True)]
    found = to_rgb(arrays, depth=8, matrix=matrix, full_range=full)
    assert found.shape == (4, 4, 3) and np.abs(found.astype(int) - rgb).max() <= 2
    deep = to_rgb([a.astype(np.uint16) * 4 for a in arrays], depth=10, matrix=matrix,
                  full_range=full)  # fmt: skip
    np.testing.assert_array_equal(deep, found)


def test_grey_pictures_have_no_colour() -> None:
    found = to_rgb([np.full((2, 2), 126, np.uint8)], depth=8, matrix="bt709", full_range=False)
    assert (found == 128).all()


@pytest.mark.parametrize("height", [64, 720])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", MATRICES)
def test_colours_are_those_of_ffmpeg(matrix: str, full: bool, height: int) -> None:
    """Also of a large picture that does not name its matrix."""
    planes = np.random.default_rng(7).integers(16, 236, (3, height, 64)).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
    wanted = frame.reformat(
        format="rgb24",
        src_colorspace=MATRICES[matrix],
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
    ).to_ndarray()
    found = to_rgb(list(planes), depth=8, matrix=matrix, full_range=full)
    assert np.abs(found.astype(int) - wanted).max() <= 2  # its tables are of 8 bit


def test_chroma_of_420_is_that_of_444_made_small() -> None:
    smooth = np.add.outer(np.arange(16), 2 * np.arange(16)).astype(np.float64) + 100
    small = smooth.reshape(8, 2, 8, 2).mean((1, 3))
    luma = np.full((16, 16), 120.0)
    options = {"depth": 8, "matrix": "bt709", "full_range": True}
    whole = to_rgb([luma, smooth, smooth], **options).astype(int)
    folded = to_rgb([luma, small, small], **options).astype(int)
    assert np.abs(whole - folded)[1:-1, 1:-1].max() <= 1


def test_luma_and_chroma_may_differ_in_depth() -> None:
    planes = [np.full((2, 2), v) for v in (81, 90 * 4, 240 * 4)]
    found = to_rgb(planes, depth=(8, 10), matrix="smpte170m", full_range=False)
    assert np.abs(found[0, 0].astype(int) - (255, 0, 0)).max() <= 1


def test_coefficients_of_the_standard() -> None:
    matrix, offset = coefficients("bt709", full_range=False)
    white = matrix @ (np.array([235, 128, 128]) / 255 - offset)
    np.testing.assert_allclose(white, [1, 1, 1], atol=1e-12)
    assert matrix[0, 2] == pytest.approx(255 / 224 * 1.5748)
