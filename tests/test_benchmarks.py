"""The programs behind tables: rows of the ladder are trained and measured, cells and sound are."""

import sys
from pathlib import Path

import numpy as np
import pytest
from davd.restore.checkpoint import build_network
from tinywork import make_work

from benchmarks import cells, ladder, witness


@pytest.mark.parametrize(
    ("name", "row"), [(name, row) for name in ladder.LADDERS for row in ladder.LADDERS[name].rows]
)
def test_rows_are_networks(name: str, row: str) -> None:
    call = ["work", "--ladder", name, "--speakers", "A b", "C"]
    arguments = ladder.get_parser().parse_args(call)
    config = ladder.configuration(row, arguments)
    assert config.data.speakers == ("A b", "C")
    build_network(config.network)


def _without_speed(table: str) -> str:
    return "\n".join(line.rpartition("|")[0].rpartition("|")[0] for line in table.splitlines())


def test_rows_are_trained_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work, out = make_work(tmp_path / "work"), tmp_path / "out"
    with pytest.raises(ValueError, match="crop of 64"):  # its clips are smaller: all is handed on
        ladder.main([str(work), "--rows", "VPB", "--out", str(out)])
    work = make_work(tmp_path / "large", size=64)
    call = [str(work), "--rows", "VPB", "DSCNN", "--steps", "1", "--out", str(out)]
    assert ladder.main(call) == 0
    first = _without_speed(capsys.readouterr().out)
    assert [line.split("|")[1].strip() for line in first.splitlines()] == [
        "row", "---", "decoded", "VPB", "DSCNN",
    ]  # fmt: skip
    assert (out / "ladder.csv").read_text().count("\n") == 3
    assert ladder.main(call) == 0  # trained already
    assert _without_speed(capsys.readouterr().out) == first
    with pytest.raises(SystemExit):
        ladder.main([*call, "--rows", "forward"])  # of the other ladder
    assert "those of paper are VPB" in capsys.readouterr().err


def test_cells_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    work = make_work(tmp_path / "work")
    assert cells.main([str(work), "--crf", "42", "--limit", "2"]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()]
    assert [row[2].strip() for row in rows[2:]] == ["none", *cells.CELLS]
    inside = {row[2].strip(): float(row[3]) for row in rows[3:]}
    assert 0 <= inside["paper"] <= inside["coded"] <= 100
    assert all(-60 < float(row[5]) < 60 for row in rows[2:])


def test_a_witness_asks_no_clip_that_is_too_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    work = make_work(tmp_path / "work")
    monkeypatch.setattr(sys, "argv", ["witness", str(work), "--seconds", "0"])
    assert witness.main() == 1
    assert "192 frames are the least" in capsys.readouterr().err


def test_a_witness_explains_what_it_saw_and_nothing_else() -> None:
    rng = np.random.default_rng(5)
    heard, other = rng.normal(size=(2, 600, 6))
    error = heard @ rng.normal(size=(6, 50)) + rng.normal(size=(600, 50)) * np.sqrt(6)
    assert witness.explained(heard, error, 3.0) == pytest.approx(0.5, abs=0.08)  # half is noise
    assert witness.explained(other, error, 3.0) < 0.01
    assert witness.around(heard, (-1, 0, 2))[10].tolist() == [*heard[9], *heard[10], *heard[12]]
