"""Conformance streams against digests taken inside the JM reference decoder.

`make conformance` runs all of them; here are the small ones, every tool among them.
"""

import csv
import io
import os
from pathlib import Path

import av
import numpy as np
import pytest
from bitwriter import IDR, SLICE, SPS, BitWriter, nal
from clips import same_content
from davd.bitstream import extract, iterate

from benchmarks.conformance import (
    ARGUED,
    Check,
    digests,
    frames_direct,
    frames_through_file,
    isolated,
    run,
)

LARGEST = 24_000  # bytes of a stream
FOLDER = Path(os.environ.get("DAVD_SHARED", Path(__file__).parents[2] / "shared")) / "vectors"

pytestmark = pytest.mark.conformance


def small_rows() -> list[dict[str, str]]:
    """Rows of the manifest whose stream is small; none where there is no manifest."""
    if not (FOLDER / "manifest.csv").is_file():
        return []
    with open(FOLDER / "manifest.csv", newline="") as file:
        every = list(csv.DictReader(file))
    return [r for r in every if (FOLDER / "streams" / r["file"]).stat().st_size <= LARGEST]


ROWS = small_rows()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["file"])
def test_stream(row: dict[str, str], shared: Path) -> None:
    result = isolated(row, shared / "vectors", frames_direct)
    if result.verdict == "refused":
        assert result.detail.rpartition(": ")[2].endswith("cannot be decoded")
        pytest.skip(result.detail)
    usual = "argued" if row["file"] in ARGUED else "exact"
    assert result.verdict == ("alive" if row["kind"] == "damaged" else usual), result.detail


@pytest.mark.parametrize("name", ["x_main_cavlc.264", "x_high_cabac.264", "c_mp4_avc1.mp4"])
def test_through_the_file(name: str, shared: Path) -> None:
    row = next(row for row in ROWS if row["file"] == name)
    assert run(row, shared / "vectors", frames_through_file).verdict == "exact"


@pytest.mark.parametrize("path", sorted((FOLDER / "taps").glob("*.npz")), ids=lambda p: p.stem)
def test_arrays_of_the_reference_decoder(path: Path) -> None:
    names = {"mb.type": "mb_type", "tu.y": "tu", "mb.qp_y": "qp_y", "mb.field": "field"}
    with np.load(path) as taps:
        count = len(taps["decoded.y"])
        for (record, _), k in zip(
            iterate(FOLDER / "streams" / f"{path.stem}.264"), range(count), strict=False
        ):
            for group in ("decoded", "prediction", "residual", "level"):
                planes = getattr(record, group)
                for plane, name in zip(planes, ("y", "cb", "cr")[: len(planes)], strict=True):
                    np.testing.assert_array_equal(plane, taps[f"{group}.{name}"][k], f"{group} {k}")
            for key, name in names.items():
                if key in taps:
                    got = getattr(record, name)
                    got = np.where(got == 10, 9, got) if name == "mb_type" else got
                    np.testing.assert_array_equal(got, taps[key][k], f"{key} {k}")


def test_the_check_sees_a_wrong_sample(shared: Path) -> None:
    row = next(row for row in ROWS if row["file"] == "x_main_cavlc.264")
    from json import loads

    golden = loads((shared / "vectors" / "golden" / "x_main_cavlc.264.json").read_text())
    record, _ = next(iterate(shared / "vectors" / "streams" / row["file"]))
    before = digests(record)
    record.level[1][3, 5] += 1
    assert {k for k, v in digests(record).items() if v != before[k]} == {"level"}
    check = Check(row, golden)
    check.add(record, list(record.decoded))
    result = check.result(0.0)
    assert result.verdict == "differs" and "level from frame 0" in result.detail


@pytest.mark.parametrize(
    "name", ["MR1_BT_A.h264", "FRExt_MMCO4_Sony_B.264", "c_ts.ts", "c_mkv.mkv"]
)
def test_jobs_write_the_same(name: str, shared: Path, tmp_path: Path) -> None:
    video = shared / "vectors" / "streams" / name
    for jobs in (1, 2):
        extract(video, tmp_path / f"{jobs}.h5", motion=True, jobs=jobs)
    same_content(tmp_path / "1.h5", tmp_path / "2.h5")


def monochrome(data: bytes, plane: int) -> bytes:
    """One plane of a CAVLC stream with separate_colour_plane_flag, as a 4:0:0 stream."""
    out = b""
    for part in data.split(b"\0\0\1")[1:]:
        rbsp = part[1:].rstrip(b"\0").replace(b"\0\0\3", b"\0\0")
        bits = np.unpackbits(np.frombuffer(rbsp, np.uint8)).tolist()
        while not bits.pop():  # up to rbsp_stop_one_bit
            pass
        kind = part[0] & 31
        at = 24 if kind == SPS else 0
        for _ in range(1 if kind == SPS else 3):  # ue(v) before what is changed
            zeros = bits.index(1, at) - at
            at += 2 * zeros + 1
        if kind == SPS:  # chroma_format_idc 3 and the flag become chroma_format_idc 0
            assert bits[at : at + 6] == [0, 0, 1, 0, 0, 1]
            bits[at : at + 6] = [1]
        elif kind in (IDR, SLICE):
            if bits[at : at + 2] != [plane >> 1, plane & 1]:
                continue
            del bits[at : at + 2]  # colour_plane_id
        writer = BitWriter()
        writer.bits = bits
        out += nal(kind, writer.trailing(), part[0] >> 5)
    return out


@pytest.mark.parametrize("kind", ["cavlc", "p_cavlc", "mbaff_cavlc", "p_mbaff_cavlc"])
def test_separate_colour_planes_are_monochrome_pictures(kind: str, shared: Path) -> None:
    stream = shared / "vectors" / "streams" / f"j_high444_sep_{kind}.264"
    decoded = [record.decoded for record, _ in iterate(stream)]
    for plane in range(3):
        cut = monochrome(stream.read_bytes(), plane)
        with av.open(io.BytesIO(cut), format="h264") as container:
            for ours, frame in zip(decoded, container.decode(video=0), strict=True):
                theirs = frame.to_ndarray(format=frame.format.name)[: frame.height]
                assert ours is not None
                assert np.array_equal(ours[plane][: frame.height, : frame.width], theirs)
