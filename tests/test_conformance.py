"""Conformance streams against digests taken inside the JM reference decoder.

`make conformance` runs all of them; here are the small ones, every tool among them.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from clips import same_content
from davd.bitstream import extract, iterate

from benchmarks.conformance import ARGUED, Check, digests, isolated, run

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
    result = isolated(row, shared / "vectors", True)
    if result.verdict == "refused":
        assert result.detail.rpartition(": ")[2].endswith("cannot be decoded")
        pytest.skip(result.detail)
    usual = "argued" if row["file"] in ARGUED else "exact"
    assert result.verdict == ("alive" if row["kind"] == "damaged" else usual), result.detail


@pytest.mark.parametrize("name", ["x_main_cavlc.264", "x_high_cabac.264", "c_mp4_avc1.mp4"])
def test_through_the_file(name: str, shared: Path) -> None:
    row = next(row for row in ROWS if row["file"] == name)
    assert run(row, shared / "vectors", False).verdict == "exact"


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
