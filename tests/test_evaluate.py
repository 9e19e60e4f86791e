"""Measuring: figures that can be worked out by hand, tables, and the command."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from davd.cli import evaluate as command
from davd.data.dataset import open_segments
from davd.data.sample import Planes, Sample
from davd.restore.checkpoint import build_network, save_checkpoint
from davd.restore.config import config_from_dict
from davd.restore.measuring.evaluate import ClipResult, measure_clip, quick_scores
from davd.restore.measuring.metrics import psnr
from davd.restore.measuring.tables import Row, as_csv, as_json, as_text, multiply_adds
from davd.restore.networks.davd import DavdNet
from davd.restore.networks.picture import normal
from davd.restore.networks.restorer import Features, Restorer
from tinywork import make_work

torch.set_num_threads(1)  # small tensors: more threads only wait for each other
SMALL = {"channels": 8, "sound_channels": 4, "front_blocks": 1, "video_blocks": 1, "blocks": 1}


class Oracle(Restorer):
    """Knows the source, and leaves a twentieth of the error."""

    scale = 2

    def features(self, sample: Sample) -> Features:
        return (sample.decoded.y.float(),)

    def correction(self, features: Features, sample: Sample) -> torch.Tensor:
        raise NotImplementedError

    def restore(self, features: Features, middle: Sample) -> Planes:
        assert features[0].shape[1] == middle.frames + 4 and middle.clean is not None
        decoded, clean = (normal(p, middle.bit_depth) for p in (middle.decoded, middle.clean))
        return Planes(*(c + (d - c) / 20 for d, c in zip(decoded, clean, strict=True)))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("work"), crfs=(38, 42))


def oracle() -> Restorer:
    network = Oracle(config_from_dict({"network": SMALL}).network)
    network.weight = torch.nn.Parameter(torch.zeros(1))
    return network.eval()


def test_decoded_frames_are_measured_as_they_are(work: Path) -> None:
    part = open_segments(work, "test", crf=(42,))[0]
    result = measure_clip(None, part)
    sample = part.reader.read(0, part.stop)
    assert sample.clean is not None
    expected = psnr(sample.decoded.y.float(), sample.clean.y.float(), data_range=255)
    assert result.decoded["psnr_y"] == pytest.approx(expected.tolist(), abs=1e-4)
    assert result.restored["psnr_y"] == result.decoded["psnr_y"]
    assert len(result.decoded["psnr_mouth"]) == 9
    series = torch.tensor(result.decoded["psnr_y"]).double()
    assert result.summary["fluctuation_decoded"] == pytest.approx(float(series.std(correction=0)))


def test_every_frame_is_restored_in_its_place(work: Path) -> None:
    part = open_segments(work, "test", crf=(42,))[0]
    result = measure_clip(oracle(), part)
    assert len(result.restored["psnr_y"]) == 9
    assert min(result.restored["psnr_y"]) > max(result.decoded["psnr_y"]) + 8
    assert result.summary["flicker_restored"] < result.summary["flicker_decoded"]
    some = measure_clip(oracle(), part, limit=3)
    assert some.restored["psnr_y"] == result.restored["psnr_y"][3:6]


@pytest.mark.parametrize("carry", ["", "none", "neighbours"])
def test_quick_scores_agree_with_the_whole_measure(work: Path, carry: str) -> None:
    part = open_segments(work, "val", crf=(42,), motion=bool(carry))[0]
    torch.manual_seed(0)
    settings = dict(SMALL)
    if carry:
        settings |= {"name": "recurrent", "carry": carry, "radius": int(carry == "neighbours")}
    network = build_network(config_from_dict({"network": settings}).network).eval()
    with torch.no_grad():
        network.tail.weight.normal_(0, 0.01)  # type: ignore[union-attr, operator]
    score = quick_scores(network, [part], frames=9, amp=False)[0]
    whole = measure_clip(network, part)
    assert score.decoded == pytest.approx(whole.mean("psnr_y", "decoded"), abs=1e-4)
    assert score.restored == pytest.approx(whole.mean("psnr_y", "restored"), abs=1e-3)
    assert score.gain == pytest.approx(score.restored - score.decoded)


def test_consistency_is_measured_where_levels_are_read(work: Path) -> None:
    part = open_segments(work, "test", crf=(42,), level=True)[0]
    summary = measure_clip(oracle(), part, limit=2, cell="paper").summary
    assert 0 <= summary["inconsistent_decoded"] <= 1 and "inconsistent_restored" in summary


def test_tables(work: Path) -> None:
    parts = open_segments(work, "test", crf=(38, 42))
    row = Row("oracle", "right", [measure_clip(oracle(), part, limit=3) for part in parts])
    text = as_text([row])
    assert text.index("CRF 38: 1 clips, 3 frames") < text.index("CRF 42")
    block = text[text.index("CRF 42") :].splitlines()
    assert block[2].startswith("decoded ") and block[3].startswith("oracle")
    gain, error, least = row.gain("psnr_y", 42)
    assert gain == least and math.isnan(error) and f"{gain:+.3f}" in block[3]
    table = list(csv.DictReader(as_csv([row]).splitlines()))
    assert [line["crf"] for line in table] == ["38", "42"]
    assert float(table[1]["psnr_y_restored"]) - float(table[1]["psnr_y_decoded"]) == (
        pytest.approx(gain, abs=1e-4)
    )
    tree = json.loads(json.dumps(as_json([row], {"split": "test"})))
    assert "rounded" in tree["protocol"] and tree["settings"] == {"split": "test"}
    assert tree["results"][0]["mean"]["42"]["gain_psnr_y"][0] == pytest.approx(gain, abs=1e-5)
    assert len(tree["results"][0]["clips"][0]["restored"]["psnr_y"]) == 3


def test_intervals_are_of_means_over_clips_drawn_again() -> None:
    gains = [0.1, 0.4, 0.5, 0.9, 1.4, 0.2, 0.7, 0.6]
    clips = [
        ClipResult(f"c{k}", "s", 42, {"psnr_y": [30.0]}, {"psnr_y": [30.0 + gain]}, {})
        for k, gain in enumerate(gains)
    ]
    row = Row("network", "right", clips)
    mean, error, _ = row.gain("psnr_y", 42)
    low, high = row.interval("psnr_y", 42)
    assert row.interval("psnr_y", 42) == (low, high)
    assert low < mean < high
    assert high - low == pytest.approx(2 * 1.96 * error * (7 / 8) ** 0.5, rel=0.06)
    assert f"{low:+.3f}..{high:+.3f}" in as_text([row])
    assert all(math.isnan(end) for end in Row("one", "right", clips[:1]).interval("psnr_y", 42))


def test_vmaf_and_xpsnr_prefer_what_is_closer() -> None:
    from davd.restore.measuring.vmaf import ffmpeg_with_filters, vmaf_and_xpsnr

    try:
        ffmpeg_with_filters()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    random = np.random.default_rng(0)
    source = [
        tuple(
            random.integers(60, 200, side, dtype=np.uint8)
            for side in ((96, 96), (48, 48), (48, 48))
        )
        for _ in range(4)
    ]

    def noisy(spread: int) -> list[tuple[np.ndarray, ...]]:
        return [
            tuple(p + random.integers(-spread, spread + 1, p.shape).astype(np.uint8) for p in frame)
            for frame in source
        ]

    pictures = [noisy(3), noisy(25), source]
    near, far, same = (vmaf_and_xpsnr(frames, source) for frames in pictures)
    for name in ("vmaf", "xpsnr"):
        assert [len(found[name]) for found in (near, far, same)] == [4, 4, 4]
        assert np.mean(far[name]) < np.mean(near[name]) < np.mean(same[name])
    # XPSNR weighs by the source alone, so that two evenly noisy copies differ as by PSNR
    squares = [
        np.mean([np.square(a[0].astype(float) - b[0]) for a, b in zip(some, source, strict=True)])
        for some in pictures[:2]
    ]
    apart = np.mean(near["xpsnr"]) - np.mean(far["xpsnr"])
    assert apart == pytest.approx(10 * np.log10(squares[1] / squares[0]), abs=0.2)
    assert same["xpsnr"] == [100.0] * 4
    with pytest.raises(ValueError, match="8-bit 4:2:0"):
        vmaf_and_xpsnr([(source[0][0],) * 3], [(source[0][0],) * 3])


def test_a_clip_is_measured_by_vmaf(work: Path) -> None:
    part = open_segments(work, "test", crf=(42,))[0]
    try:
        found = measure_clip(oracle(), part, limit=3, vmaf=True)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert len(found.decoded["vmaf"]) == len(found.restored["xpsnr"]) == 3
    assert found.mean("xpsnr", "restored") > found.mean("xpsnr", "decoded")


def test_standard_error_over_clips(work: Path) -> None:
    parts = open_segments(work, "train", crf=(42,))
    row = Row("oracle", "right", [measure_clip(oracle(), part, limit=2) for part in parts])
    gains = [c.mean("psnr_y", "restored") - c.mean("psnr_y", "decoded") for c in row.clips]
    mean, error, least = row.gain("psnr_y", 42)
    assert mean == pytest.approx(sum(gains) / 2) and least == min(gains)
    assert error == pytest.approx(abs(gains[0] - gains[1]) / 2)


def test_multiply_adds_of_a_network_counted_by_hand() -> None:
    settings = SMALL | {"audio": False, "align": False, "front_blocks": 0}
    network = DavdNet(config_from_dict({"network": settings}).network).eval()
    places = 64 * 64  # 128 folded two by two
    by_hand = places * 9 * (5 * 6 * 8 + 4 * 8 * 8 + 8 * 6)
    assert multiply_adds(network, size=128) == by_hand


def test_command(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = config_from_dict({"network": SMALL})
    weights = build_network(config.network).state_dict()
    path = save_checkpoint(tmp_path, "tiny", weights, config, step=0)
    line = [str(work), "--checkpoint", str(path), "--crf", "42", "--limit", "2", "--device", "cpu"]
    outputs = ["--csv", str(tmp_path / "a.csv"), "--json", str(tmp_path / "a.json")]
    assert command.main([*line, "--sound", "right,exchanged", *outputs]) == 0
    printed = capsys.readouterr().out
    assert "exchanged" in printed and "decoded" in printed and "+0.000" in printed
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "a.json").read_text())["settings"]["crf"] == [42]


def test_command_measures_decoded_frames_alone(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(work), "--crf", "42", "--limit", "1"]) == 0
    assert "decoded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--crf", "7"], "at CRF 7"), (["--checkpoint", "none-such"], "no checkpoint 'none-such'")],
)
def test_command_says_what_is_wrong(
    work: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(work), *arguments]) == 1
    assert message in capsys.readouterr().err
