"""Training: it learns, repeats itself, resumes exactly, and says what is wrong."""

import csv
import math
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from davd.cli import train as command
from davd.data.dataset import open_segments
from davd.data.sample import Planes, Sample, collate
from davd.restore.checkpoint import load_checkpoint, read_checkpoint
from davd.restore.config import Config, NetworkConfig, TrainConfig, load_config
from davd.restore.networks.restorer import fast_bf16
from davd.restore.training.loss import learning_rate, plane_loss
from davd.restore.training.optimizer import Optimizer, orthogonal
from davd.restore.training.train import loader_speed, train
from safetensors.torch import load_file
from tinywork import make_work

TINY = (
    "network.channels=16", "network.sound_channels=4", "network.front_blocks=0",
    "network.video_blocks=1", "network.blocks=1", "network.align=false", "network.priors=true",
    "data.crop=32", "data.frames=5", "train.batch=2", "train.lr=2e-3", "train.warmup=2",
    "train.optimizer=muon", "train.validate=100", "train.validate_frames=2", "train.log=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_work(tmp_path_factory.mktemp("work"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def config(work: Path, out: Path, *changes: str) -> Config:
    return load_config(None, [*TINY, f"data.index={work}", f"train.out={out}", *changes])


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "last.safetensors")


def rows(out: Path, name: str = "train.csv") -> list[dict[str, str]]:
    with (out / name).open() as file:
        return list(csv.DictReader(file))


def assert_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def test_loss_falls_on_two_samples_and_the_best_checkpoint_is_kept(
    work: Path, tmp_path: Path
) -> None:
    changes = ("train.steps=30", "train.validate=10", "train.ema=0.5", "data.cache=false")
    path = train(config(work, tmp_path, *changes))
    log = rows(tmp_path)
    losses = [float(row["loss"]) for row in log]
    assert len(log) == 30 and sum(losses[-5:]) < 0.9 * sum(losses[:5])
    validations = rows(tmp_path, "val.csv")
    gains = [float(row["gain"]) for row in validations]
    assert [row["step"] for row in validations] == ["10", "20", "30"] and gains[-1] > 0.1
    assert list(tmp_path.glob("davd-*.safetensors")) == [path]
    info = read_checkpoint(path)
    assert info.figures["validation_gain_y_db"] == pytest.approx(max(gains), abs=1e-4)
    assert info.data["clips"] == ["clip0", "clip1"] and info.data["crf"] == [42]
    assert load_checkpoint(path).config.priors


def test_the_same_seed_gives_the_same_weights(work: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        train(config(work, tmp_path / name, "train.steps=2"))
    train(config(work, tmp_path / "c", "train.steps=2", "train.seed=1"))
    assert_equal(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not torch.equal(
        weights(tmp_path / "a")["net.tail.weight"], weights(tmp_path / "c")["net.tail.weight"]
    )


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_resuming_equals_never_having_stopped(work: Path, tmp_path: Path, optimizer: str) -> None:
    choice = f"train.optimizer={optimizer}"
    train(config(work, tmp_path / "whole", "train.steps=4", choice))
    train(config(work, tmp_path / "parts", "train.steps=2", choice))
    train(config(work, tmp_path / "parts", "train.steps=4", choice))
    assert_equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    assert [row["step"] for row in rows(tmp_path / "parts")] == ["1", "2", "3", "4"]


def test_a_finished_run_stays_as_it_is(work: Path, tmp_path: Path) -> None:
    first = train(config(work, tmp_path, "train.steps=2"))
    again = train(config(work, tmp_path, "train.steps=2"))
    assert first == again and len(rows(tmp_path)) == 2


def test_workers_do_not_change_the_weights(work: Path, tmp_path: Path) -> None:
    for count in (0, 2):
        train(config(work, tmp_path / str(count), "train.steps=2", f"data.workers={count}"))
    assert_equal(weights(tmp_path / "0"), weights(tmp_path / "2"))


def test_another_configuration_does_not_resume(work: Path, tmp_path: Path) -> None:
    train(config(work, tmp_path, "train.steps=1"))
    with pytest.raises(ValueError, match="train.lr = 0.002, not 0.001"):
        train(config(work, tmp_path, "train.steps=2", "train.lr=1e-3"))


def test_a_damaged_state_is_refused(work: Path, tmp_path: Path) -> None:
    train(config(work, tmp_path, "train.steps=1"))
    last = tmp_path / "last.safetensors"
    last.write_bytes(last.read_bytes()[:500])
    with pytest.raises(ValueError, match="cannot be resumed from"):
        train(config(work, tmp_path, "train.steps=2"))


def test_the_projection_can_be_trained_through(work: Path, tmp_path: Path) -> None:
    path = train(config(work, tmp_path, "train.steps=2", "network.cell=trellis"))
    assert load_checkpoint(path).projector is not None


def test_weights_of_another_run_are_a_beginning(work: Path, tmp_path: Path) -> None:
    first = train(config(work, tmp_path / "vpb", "train.steps=2", "network.audio=false"))
    out = tmp_path / "apb"
    second = train(config(work, out, "train.steps=1", "train.lr=1e-9", f"train.init={first}"))
    before, after = load_checkpoint(first).state_dict(), load_checkpoint(second).state_dict()
    torch.testing.assert_close(before["fuse.weight"], after["fuse.weight"], atol=1e-5, rtol=0)
    assert len(after) > len(before)


def test_narrow_blocks_begin_with_the_channels_that_weigh_most(work: Path, tmp_path: Path) -> None:
    first = train(config(work, tmp_path / "wide", "train.steps=3"))
    changes = ("train.steps=1", "train.lr=1e-9", f"train.init={first}", "network.hidden=5")
    second = train(config(work, tmp_path / "narrow", *changes))
    wide, narrow = load_checkpoint(first).state_dict(), load_checkpoint(second).state_dict()
    before, behind = wide["video.0.first.weight"], wide["video.0.second.weight"]
    weight = before.flatten(1).norm(dim=1) * behind.transpose(0, 1).flatten(1).norm(dim=1)
    kept = weight.argsort(descending=True)[:5].sort().values
    near = {"atol": 1e-5, "rtol": 0}
    torch.testing.assert_close(narrow["video.0.first.weight"], before[kept], **near)
    torch.testing.assert_close(narrow["video.0.second.weight"], behind[:, kept], **near)
    torch.testing.assert_close(narrow["fuse.weight"], wide["fuse.weight"], **near)


def test_a_teacher_is_come_near_to(work: Path, tmp_path: Path) -> None:
    """What is learnt from a teacher alone is the teacher's correction, not the source's."""
    teacher = train(config(work, tmp_path / "teacher", "train.steps=30", "network.audio=false"))
    changes = (f"train.teacher={teacher}", "train.teach=1.0", "network.audio=false",
               "network.hidden=6", "train.ema=0.5", "train.seed=1")  # fmt: skip
    distances = []
    for steps in (1, 40):
        out = tmp_path / str(steps)
        student = load_checkpoint(train(config(work, out, *changes, f"train.steps={steps}")))
        part = open_segments(work, "test", crf=[42])[0]
        sample = collate([part.reader.read(0, 5)])
        with torch.inference_mode():
            one, other = student(sample).y, load_checkpoint(teacher)(sample).y
        distances.append(float((one - other).square().mean()))
    assert distances[1] < 0.7 * distances[0]


def test_some_minutes_are_whole_clips_and_always_the_same(work: Path, tmp_path: Path) -> None:
    def clips(minutes: float) -> list[str]:
        out = tmp_path / str(minutes)
        path = train(config(work, out, "train.steps=1", f"data.minutes={minutes}"))
        return list(read_checkpoint(path).data["clips"])  # type: ignore[call-overload]

    one = 9 / 25 / 60  # minutes that a clip has
    assert clips(2.1 * one) == clips(0) == ["clip0", "clip1"]
    assert len(clips(1.1 * one)) == 1 and clips(1.1 * one) == clips(0.1 * one)


def run_two(line: list[str]) -> None:
    """Run a command as the two processes of a torchrun."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        environment = os.environ | {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        processes.append(subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True))
    for process in processes:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors


@pytest.mark.slow
def test_two_processes_train_as_one(work: Path, tmp_path: Path) -> None:
    """Gradients averaged over two processes on gloo are those of the whole batch."""
    changes = [f"--set={text}" for text in (
        *TINY, f"data.index={work}", "train.steps=2", "train.amp=false", "train.optimizer=adam",
    )]  # fmt: skip
    out = f"--set=train.out={tmp_path / 'two'}"
    run_two([sys.executable, "-P", "-m", "davd.cli.train", "--quiet", out, *changes])
    train(config(work, tmp_path / "one", "train.steps=2", "train.amp=false",
                 "train.optimizer=adam"))  # fmt: skip
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for key in one:
        torch.testing.assert_close(one[key], two[key], atol=2e-5, rtol=1e-3)


@pytest.mark.slow
def test_the_first_process_says_when_it_is_over(work: Path, tmp_path: Path) -> None:
    """A run by the clock ends on all processes together, though the second's clock stands still."""
    code = (
        "import sys, time, os\n"
        "if os.environ['RANK'] == '1': time.monotonic = lambda: 0.0\n"
        "from davd.cli.train import main\n"
        "main(sys.argv[1:])\n"
    )
    changes = [*TINY, f"data.index={work}", "train.minutes=0.05", "train.amp=false"]
    out = f"--set=train.out={tmp_path / 'two'}"
    run_two([sys.executable, "-P", "-c", code, "--quiet", out, *(f"--set={c}" for c in changes)])
    assert 1 <= len(rows(tmp_path / "two")) < 20000


def test_the_sampler_lists_nothing_in_advance(work: Path, tmp_path: Path) -> None:
    """A run of very many steps begins at once."""
    settings = config(work, tmp_path, "train.steps=1000000000000", "train.minutes=0.005")
    train(settings)
    assert rows(tmp_path)


def test_a_dead_loader_process_ends_the_run(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from davd.data.reader import ClipReader

    def die(*_: object) -> None:
        os._exit(1)

    settings = config(work, tmp_path, "train.steps=2", "data.workers=1")
    monkeypatch.setattr(ClipReader, "read", die)
    with pytest.raises(RuntimeError, match=r"DataLoader worker .* exited unexpectedly"):
        train(settings)


def test_command_prints_the_checkpoint(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--set={text}" for text in (*TINY, f"data.index={work}", "train.steps=1")]
    assert command.main(["--quiet", *arguments, f"--set=train.out={tmp_path}"]) == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.index=nowhere", "nowhere"),
        ("train.speed=9", "unknown key train.speed"),
        ("data.crf=[7]", "at CRF 7"),
    ],
)
def test_command_says_what_is_wrong_in_one_line(
    work: Path, tmp_path: Path, override: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"--set={t}" for t in (*TINY, f"data.index={work}", f"train.out={tmp_path}")]
    assert command.main([*arguments, f"--set={override}"]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert message in lines[-1] and lines[-1].startswith("davd-train: ")


@pytest.mark.parametrize("loss", ["l1", "rms", "log", "charbonnier"])
def test_losses(loss: str) -> None:
    def planes(y: float, c: float, frames: int, kind: torch.dtype) -> Planes:
        shapes = [(1, frames, 16, 16), *[(1, frames, 8, 8)] * 2]
        values = zip(shapes, (y, c, c), strict=True)
        return Planes(*(torch.full(shape, value).to(kind) for shape, value in values))

    sample = Sample(decoded=planes(0, 0, 5, torch.uint8), clean=planes(51, 102, 5, torch.uint8))
    restored = planes(0.3, 0.3, 1, torch.float32)  # luma is off by 0.1, chroma by -0.1
    settings = TrainConfig(loss=loss, chroma=0.5)
    expected = {
        "l1": 0.2,
        "rms": 0.2,
        "log": 0.2 * math.log(0.01 + 1e-4),
        "charbonnier": 0.2,
    }[loss]
    found = plane_loss(restored, sample, NetworkConfig(), settings)
    assert float(found) == pytest.approx(expected, abs=2e-5)


def test_the_loader_alone_is_timed(work: Path, tmp_path: Path) -> None:
    assert loader_speed(config(work, tmp_path, "train.steps=50"), batches=3) > 0
    assert not list(tmp_path.iterdir())


def test_rates_warm_up_and_cool_down() -> None:
    cosine = TrainConfig(lr=1.0, schedule="cosine", warmup=10)
    assert learning_rate(cosine, 0, 0.0) == pytest.approx(0.1)
    assert learning_rate(cosine, 50, 0.5) == pytest.approx(0.505)
    assert learning_rate(cosine, 99, 1.0) == pytest.approx(0.01)
    assert learning_rate(TrainConfig(lr=1.0, warmup=10), 99, 1.0) == 1.0


def test_adam_equals_torchs() -> None:
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Linear(3, 2) for _ in range(2))
    theirs.load_state_dict(ours.state_dict())
    settings = TrainConfig(lr=0.01, weight_decay=0.1)
    pair = (
        (ours, Optimizer(ours, settings)),
        (theirs, torch.optim.AdamW(theirs.parameters(), 0.01, weight_decay=0.1)),
    )
    x = torch.randn(5, 3)
    for network, optimizer in pair:
        for _ in range(3):
            optimizer.zero_grad()
            network(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


@pytest.mark.parametrize("shape", [(16, 144), (48, 20)])
def test_orthogonal_evens_out_singular_values(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before, after = (torch.linalg.svd(m)[1] for m in (matrix, orthogonal(matrix)))
    assert before.max() / before.min() > 1.5
    assert 0.6 < float(after.min()) and float(after.max()) < 1.3
    # same singular vectors: the product with the transpose is symmetric and positive, as far as
    # bfloat16, which has 8 bits, goes
    product = orthogonal(matrix) @ matrix.T
    share = 1e-2 if fast_bf16("cpu") else 1e-3
    torch.testing.assert_close(product, product.T, atol=share * float(product.abs().max()), rtol=0)
