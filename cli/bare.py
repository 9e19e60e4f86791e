"""Build, decode and train in a packed folder, where there is little beside Python and torch.

    python3 run.py [--minutes 10] [--config configs/recurrent.toml] [--set network.channels=128 ...]

In the folder of this file: `davd` (sources), `index.json`, `clean`, `coded`, `sound` (see davd's
data/pack.py). The C core is compiled, all clips are decoded by it into `flat`, on all cores, and a
network is trained for so many minutes, in bfloat16 where the device has it. What is left in `out`:
the run's log and checkpoints, a picture of each test clip (decoded, restored, source), and
`done.json`. Packages that are not there and not needed (PyAV, SciPy, isal) are stood in for.
"""

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MODULES = {"_core": ("h264", "coding", "priors"), "_hevc": ("hevc", "coding")}
"""Extension modules and the folders of C files in each, as in setup.py."""
STOOD_IN = ("av", "isal", "scipy", "safetensors", "cv2")
"""Packages that may be missing; what imports them here does without, but for safetensors."""


class _Absent(types.ModuleType):
    """A module that is not there: its names are errors that nothing raises."""

    __path__ = []  # noqa: RUF012

    def __getattr__(self, name: str) -> object:
        """A class for anything but what modules have of their own."""
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds modules of missing packages."""

    def __init__(self, names: Sequence[str]) -> None:
        """Stand in for some packages, whether they are there or not."""
        self.names = names

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """A spec for a module of one of the packages."""
        if fullname.partition(".")[0] in self.names:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """An empty module."""
        return _Absent(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """The few functions of safetensors that are used; nothing for other packages."""
        if module.__name__ == "safetensors":
            module.safe_open, module.SafetensorError = SafeOpen, ValueError  # type: ignore[attr-defined]
        elif module.__name__ == "safetensors.torch":
            module.save_file = save_file  # type: ignore[attr-defined]
        elif module.__name__ == "isal":
            import zlib

            module.isal_zlib = zlib  # type: ignore[attr-defined]


def stand_in(names: Sequence[str] | None = None) -> None:
    """Let imports of missing packages succeed; `names` for those that are to be missing."""
    if names is None:
        names = [name for name in STOOD_IN if importlib.util.find_spec(name) is None]
    sys.meta_path.insert(0, StandIns(names))


def save_file(tensors: dict, path: object, metadata: dict[str, str] | None = None) -> None:
    """Tensors in the safetensors layout, as the package of that name writes them."""
    import torch

    kinds = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64", torch.bool: "BOOL"}
    header: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    blobs, place = [], 0
    for name, tensor in sorted(tensors.items()):
        blob = tensor.detach().cpu().contiguous().numpy().tobytes()
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [place, place + len(blob)]}  # fmt: skip
        blobs.append(blob)
        place += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    Path(str(path)).write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))


class SafeOpen:
    """Reads what `save_file` wrote."""

    def __init__(self, path: object, framework: str = "pt") -> None:
        """Read the header."""
        data = Path(str(path)).read_bytes()
        length = int.from_bytes(data[:8], "little")
        self._header = json.loads(data[8 : 8 + length])
        self._data = data[8 + length :]
        self._metadata = self._header.pop("__metadata__", None)

    def __enter__(self) -> "SafeOpen":
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def metadata(self) -> dict[str, str] | None:
        """What was written beside the tensors."""
        return self._metadata

    def keys(self) -> list[str]:
        """Names of the tensors."""
        return list(self._header)

    def get_tensor(self, name: str) -> object:
        """A tensor of its own memory."""
        import numpy as np
        import torch

        kinds = {"F32": "<f4", "F16": "<f2", "I64": "<i8", "BOOL": "?"}
        entry = self._header[name]
        first, stop = entry["data_offsets"]
        array = np.frombuffer(self._data[first:stop], kinds[entry["dtype"]])
        return torch.from_numpy(array.reshape(entry["shape"]).copy())


def build() -> None:
    """Compile the extension modules into the package, with Cython and the C compiler alone."""
    for name, folders in MODULES.items():
        if not module_path(name).exists():
            _build(name, folders)


def module_path(name: str) -> Path:
    """Where an extension module lies in the package."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return HERE / "davd" / "bitstream" / f"{name}{suffix}"


def _build(name: str, folders: Sequence[str]) -> None:
    import numpy

    bitstream = HERE / "davd" / "bitstream"
    pyx = bitstream / f"{name}.pyx"
    made = pyx.with_suffix(".c")
    cython = [sys.executable, "-m", "cython", "-3", str(pyx), "-o", str(made)]
    subprocess.run(cython, check=True, cwd=HERE)
    inside = [bitstream / folder for folder in folders]
    places = [*inside, numpy.get_include(), sysconfig.get_path("include")]
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or "clang"
    flags = [*os.environ.get("CFLAGS", "-O3").split(), "-std=c11", "-fno-math-errno", "-fPIC", "-w",
             "-DNPY_NO_DEPRECATED_API=NPY_1_7_API_VERSION"]  # fmt: skip
    flags += [f"-I{place}" for place in places]
    sources = [made, *sorted(path for folder in inside for path in folder.rglob("*.c"))]
    objects = [str(HERE / f"build{number}.o") for number in range(len(sources))]
    jobs = [
        [compiler, *flags, "-c", str(source), "-o", target]
        for source, target in zip(sources, objects, strict=True)
    ]
    with multiprocessing.Pool() as pool:
        pool.map(_compile, jobs, chunksize=1)
    target = str(module_path(name))
    subprocess.run([compiler, "-shared", *objects, "-o", target, "-lm"], check=True)
    for file in objects:
        Path(file).unlink()


def _compile(line: list[str]) -> None:
    subprocess.run(line, check=True)


def decode_all(jobs: int) -> int:
    """Every clip at every rate factor into a flat file, side by side; how many there are."""
    entries = json.loads((HERE / "index.json").read_text())["clips"]
    todo = [
        (entry["name"], crf, place)
        for entry in entries
        for crf, place in entry["priors"].items()
        if not flat_path(entry["name"], int(crf)).exists()
    ]
    with multiprocessing.Pool(jobs) as pool:
        pool.starmap(_decode, todo, chunksize=1)
    return len(todo)


def flat_path(name: str, crf: int) -> Path:
    """Where a decoded clip lies, as davd.data.dataset looks for it."""
    return HERE / "flat" / f"crf{crf}-{name.replace('/', '~')}.planes"


def _decode(name: str, crf: str, place: str) -> None:
    import numpy as np
    from davd.data.flat import PLANES, write_flat
    from davd.data.motion import History, flow

    maps = decoded(HERE / place, ("decoded", "prediction", "residual"), motion=True)
    count = len(maps["decoded/y"])
    arrays = {"tu": maps["tu/y"], "mb_type": maps["mb/type"], "qp_y": maps["mb/qp_y"],
              "field": maps["mb/field"].astype(np.uint8)}  # fmt: skip
    for group in ("decoded", "prediction", "residual"):
        for plane in PLANES:
            values = maps[f"{group}/{plane}"]
            if group == "residual":
                values = values.clip(-128, 127).astype(np.int8)
            arrays[f"{group}.{plane}"] = values
    for plane, values in decoded(HERE / "clean" / f"{name}.264", ("decoded",)).items():
        if plane.startswith("decoded/"):
            arrays[f"clean.{plane[8:]}"] = values
    pairs = [range(k, min(k + 2, count)) for k in range(count)]
    arrays["flow"] = np.stack([
        flow(maps["motion/mv"][pair.start : pair.stop],
             maps["motion/ref"][pair.start : pair.stop], pair.start) for pair in pairs
    ])  # fmt: skip
    history = History(_Maps(maps))
    arrays["history"] = np.stack([history.of(k) for k in range(count)])
    write_flat(flat_path(name, int(crf)), arrays)


class _Maps:
    """Arrays read as a priors file is."""

    def __init__(self, arrays: dict) -> None:
        self.arrays = arrays

    def __contains__(self, path: object) -> bool:
        """Whether there is such an array."""
        return path in self.arrays

    def read(self, path: str, frames: Sequence[int]) -> Any:
        """Some frames of an array."""
        return self.arrays[path][list(frames)]


def decoded(path: Path, planes: Sequence[str], *, motion: bool = False) -> dict:
    """All frames of a bare stream in display order, by the names of a priors file.

    References are display indices; the stream begins with an IDR picture and is whole.
    """
    import numpy as np
    from davd.bitstream import Decoder
    from davd.bitstream.decode import to_record
    from davd.bitstream.priors.record import record_arrays

    decoder = Decoder(
        decoded="decoded" in planes,
        prediction="prediction" in planes,
        residual="residual" in planes,
        level="level" in planes,
        motion=motion,
    )
    decoder.send(path.read_bytes(), 0)
    decoder.flush()
    rows: list[dict] = []
    order: list[int] = []
    while (frame := decoder.receive()) is not None:
        order.append(frame.decode_order)
        record = to_record(frame, len(rows))
        rows.append({key: np.array(value) for key, value in record_arrays(record).items()})
    arrays = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    if motion:
        place = np.full(max(order) + 66, -2, np.int32)
        place[order] = np.arange(len(order))
        place[-1] = -1
        arrays["motion/ref"] = place[arrays["motion/ref"]]
    return arrays


def show(network: object, folder: Path) -> int:
    """A picture of each test clip: decoded, restored, source; how many there are."""
    import numpy as np
    import torch
    from davd.data.dataset import open_segments
    from davd.data.sample import collate
    from davd.restore.report.png import png

    crfs = sorted({int(crf) for e in json.loads((HERE / "index.json").read_text())["clips"]
                   for crf in e["priors"]})  # fmt: skip
    try:
        segments = open_segments(HERE, "test", crf=crfs[-1:])
    except ValueError:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    device = next(network.parameters()).device  # type: ignore[attr-defined]
    for part in segments:
        sample = collate([part.reader.read(part.start, min(part.start + 12, part.stop))])
        with torch.inference_mode():
            restored = network(sample.to(device)).y[0].float().cpu()  # type: ignore[operator]
        assert sample.clean is not None
        middle = restored.shape[0] // 2
        there = middle + (sample.frames - restored.shape[0]) // 2
        shown = [sample.decoded.y[0, there].float() / 255, restored[middle],
                 sample.clean.y[0, there].float() / 255]  # fmt: skip
        grey = (255 * torch.cat(shown, dim=1)).round().clamp(0, 255).byte().numpy()
        name = part.reader.name.replace("/", "~")
        (folder / f"{name}.png").write_bytes(png(np.repeat(grey[..., None], 3, 2)))
    return len(segments)


def _timed(label: str, work: Callable[[], object], spent: dict[str, float]) -> object:
    began = time.monotonic()
    print(f"{label} ...", file=sys.stderr, flush=True)
    result = work()
    spent[label] = round(time.monotonic() - began, 1)
    return result


def main(argv: list[str] | None = None) -> int:
    """Do all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="of training (10)")
    parser.add_argument("--config", type=Path, default=HERE / "configs" / "recurrent.toml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="decoding side by side")
    parser.add_argument("--out", type=Path, default=HERE / "out")
    parser.add_argument(
        "--without", nargs="*", metavar="PACKAGE", help="as if these were not installed"
    )
    arguments = parser.parse_args(argv)
    sys.path.insert(0, str(HERE))
    stand_in(arguments.without)
    spent: dict[str, float] = {}
    _timed("build", build, spent)
    _timed("decode", lambda: decode_all(arguments.jobs), spent)
    from davd.restore.checkpoint import load_checkpoint
    from davd.restore.config import load_config
    from davd.restore.training.train import train

    changes = [f"data.index={HERE}", f"train.out={arguments.out / 'run'}",
               f"train.minutes={arguments.minutes}", "data.cache=false"]  # fmt: skip
    config = load_config(arguments.config, [*changes, *arguments.set])
    best = _timed("train", lambda: train(config, stream=sys.stderr), spent)
    network = load_checkpoint(str(best))
    shown = _timed("show", lambda: show(network, arguments.out / "pictures"), spent)
    done = {"seconds": spent, "checkpoint": Path(str(best)).name, "pictures": shown}
    (arguments.out / "done.json").write_text(json.dumps(done, indent=1) + "\n")
    print(json.dumps(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
