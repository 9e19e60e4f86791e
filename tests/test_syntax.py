"""Without pixels: the syntax alone is decoded, and says the same."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bitwriter import Picture, Sets, stream
from clips import encode
from davd.bitstream import (
    Decoder,
    FrameRecord,
    PriorsFile,
    UnsupportedStreamError,
    extract,
    iterate,
)
from davd.bitstream import open as open_priors
from davd.bitstream.priors.record import FACTS, record_arrays
from davd.cli.extract import main

PIXELS = ("decoded", "prediction", "residual")
STREAMS = (
    Path(os.environ.get("DAVD_SHARED", Path(__file__).parents[2] / "shared")) / "vectors/streams"
)


def records(video: Path, planes: tuple[str, ...]) -> Iterator[FrameRecord]:
    found = iterate(video, planes=planes, motion=True, modes=True, bits=True)
    return (record for record, _ in found)


def assert_same(video: Path) -> int:
    """All but the pixels; returns the number of frames."""
    count = 0
    whole, syntax = records(video, (*PIXELS, "level")), records(video, ("level",))
    for a, b in zip(whole, syntax, strict=True):
        count += 1
        assert [getattr(a, n) for n in FACTS] == [getattr(b, n) for n in FACTS]
        ours, theirs = record_arrays(b), record_arrays(a)
        assert ours.keys() == {path for path in theirs if path.partition("/")[0] not in PIXELS}
        for path, array in ours.items():
            np.testing.assert_array_equal(array, theirs[path], path)
    return count


@pytest.mark.parametrize(
    "settings",
    ["cabac=1", "cabac=0", "interlaced=1", "cabac=0:slices=3:weightp=2:partitions=all:ref=4"],
)
def test_what_is_said_without_pixels(tmp_path: Path, settings: str) -> None:
    options = {"x264-params": f"{settings}:8x8dct=1:threads=1"}
    assert (
        assert_same(
            encode(tmp_path / "a.mp4", frames=25, size=(176, 144), sound=False, options=options)
        )
        == 25
    )


def test_a_reference_that_never_came_is_seen_without_pixels() -> None:
    pictures = [Picture(idr=True, value=9), Picture(frame_num=5, poc=10, value=None)]
    found = []
    for pixels in (True, False):
        decoder = Decoder(pixels=pixels, motion=True)
        decoder.send(stream(Sets(), pictures))
        decoder.flush()
        frames = list(iter(decoder.receive, None))
        found.append(([frame.concealed_mbs for frame in frames], decoder.warnings))
        assert (frames[0].decoded is None) is not pixels
    assert found[0] == found[1] and found[0][0][-1] > 0


@pytest.mark.slow
@pytest.mark.conformance
@pytest.mark.parametrize("path", sorted(STREAMS.glob("*")), ids=lambda path: path.name)
def test_shared_streams(path: Path) -> None:
    try:
        assert_same(path)
    except UnsupportedStreamError as refusal:
        pytest.skip(str(refusal))
    except ValueError as error:
        with pytest.raises(type(error)):
            list(records(path, ()))


def test_a_file_without_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = encode(tmp_path / "a.mp4", frames=25, sound=False)
    assert not main([str(video), "--planes", "", "-q"])
    with PriorsFile(tmp_path / "a.h5") as priors:
        assert priors.attrs["pixels"] is False and "decoded" not in priors
        assert "mb/bits" in priors and len(priors) == 25
        with open_priors(video, planes=()) as ours:
            assert ours.attrs["pixels"] is False
            np.testing.assert_array_equal(ours.read("mb/type"), priors.read("mb/type"))
    extract(video, tmp_path / "b.h5", planes=("residual",))
    with PriorsFile(tmp_path / "b.h5") as priors:
        assert priors.attrs["pixels"] is True
    assert main([str(video), "--planes", "level", "--verify", "-f", "-q"])
    assert "compare decoded samples, and none are recorded" in capsys.readouterr().err
