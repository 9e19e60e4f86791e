"""What a clip costs, step by step, in CPU time of one core and in bytes; and what a million cost.

The clips are synthetic talking heads of 8 s, the mean length of VoxCeleb2's, in H.264 as the web
has them: one that is a face crop already, and one of which the face has to be cut out. CPU time,
not wall time, is counted, so that what else runs on the machine matters little.

    python -m benchmarks.prepare [--seconds 8] [--size 224] [--crf 42 45]

The steps are measured in one process that has all imported, as the workers of davd-prepare run have
them. make starts a process for each step instead; what starting one costs is said apart.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

STEPS = ("crop", "encode", "extract")
ROUNDS = 5  # the least of them counts: what else runs on the machine only adds


def cpu_seconds() -> float:
    """CPU time of this process and of the ffmpegs it has waited for."""
    usages = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measured(work: Callable[[], dict]) -> float:
    """CPU seconds of a step."""
    before = cpu_seconds()
    result = work()
    assert result["status"] == "done", result
    return cpu_seconds() - before


def write_raw(path: Path, seconds: float, size: tuple[int, int], zoom: float) -> None:
    """Write a synthetic head as H.264 and AAC, as it would come from the web."""
    from davd.data.media import ffmpeg_path
    from davd.data.synthetic import synthesise, write_video

    write_video(path.with_suffix(".mkv"), synthesise(1, seconds, size=size, zoom=zoom))
    coding = ("-c:v", "libx264", "-crf", "20", "-c:a", "aac")
    command = [ffmpeg_path(), "-v", "error", "-y", "-i", path.with_suffix(".mkv"), *coding, path]
    subprocess.run(command, check=True)


def clip_cost(raw: Path, work: Path, size: int, crfs: list[int]) -> dict[str, float]:
    """CPU seconds of each step of a clip, encode and extract as the mean of the rate factors."""
    from davd.data.prepare import crop_clip, encode_clip, extract_clip
    from davd.data.work import Settings

    settings = Settings(size=size)
    cost = {"crop": measured(lambda: crop_clip(raw, work, raw.stem, settings))}
    each = [
        (
            measured(lambda: encode_clip(work, raw.stem, crf, settings)),  # noqa: B023 called at once
            measured(lambda: extract_clip(work, raw.stem, crf)),  # noqa: B023 called at once
        )
        for crf in crfs
    ]
    cost["encode"], cost["extract"] = (sum(c) / len(crfs) for c in zip(*each, strict=True))
    return cost


def start_cost() -> float:
    """CPU seconds of a process that starts, imports what encode and extract need, and ends."""
    before = cpu_seconds()
    code = "import davd.cli.prepare, davd.data.prepare, davd.bitstream"
    subprocess.run([sys.executable, "-c", code], check=True)
    return cpu_seconds() - before


def sizes(work: Path, name: str, crfs: list[int]) -> dict[str, float]:
    """Bytes that a clip leaves: clean reference, and coded and priors file as means."""
    coded = [work / f"coded/crf{crf}/{name}.mp4" for crf in crfs]
    priors = [work / f"priors/crf{crf}/{name}.h5" for crf in crfs]
    means = (sum(p.stat().st_size for p in paths) / len(crfs) for paths in (coded, priors))
    return {"clean": (work / f"clips/{name}.mkv").stat().st_size} | dict(
        zip(("coded", "priors"), means, strict=True)
    )


def report(name: str, seconds: float, size: int, crfs: list[int], folder: Path) -> None:
    """Measure one kind of clip and print it."""
    cropped = name == "face crop"
    raw = folder / f"{name.replace(' ', '_')}.mp4"
    write_raw(raw, seconds, (size, size) if cropped else (640, 360), 1.0 if cropped else 0.6)
    warm = folder / "warm"  # imports, cascades and page cache are not the clip's cost
    clip_cost(raw, warm, size, crfs[:1])
    rounds = [clip_cost(raw, folder / f"work{k}", size, crfs) for k in range(ROUNDS)]
    cost = {step: min(costs[step] for costs in rounds) for step in STEPS}
    weight = sizes(folder / "work0", raw.stem, crfs)
    frames, all_steps = seconds * 25, cost["crop"] + len(crfs) * (cost["encode"] + cost["extract"])
    print(f"\n{name}, {seconds:g} s, {size}x{size}, {len(crfs)} rate factors")
    for step in STEPS:
        times = 1 if step == "crop" else len(crfs)
        share = times * cost[step] / all_steps
        print(
            f"  {step:<8}{cost[step]:7.2f} s   {1000 * cost[step] / frames:6.2f} ms/frame"
            f"   {share:5.1%} of the clip"
        )
    print(f"  extract / encode: {cost['extract'] / cost['encode']:.2f}")
    print(f"  {all_steps:.2f} s a clip: {3600 / all_steps:.0f} clips an hour and core")
    kept = weight["clean"] + len(crfs) * (weight["coded"] + weight["priors"])
    told = ", ".join(f"{part} {count / 1e6:.2f} MB" for part, count in weight.items())
    print(f"  {told}; {kept / 1e6:.1f} MB a clip")
    print(
        f"  a million clips: {1e6 * all_steps / 3600:,.0f} core hours, {kept * 1e6 / 1e12:.1f} TB"
    )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--crf", type=int, nargs="+", default=[42, 45])
    arguments = parser.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from davd.data.media import ffmpeg_version

    print(f"{platform.processor() or platform.machine()}, {ffmpeg_version()}")
    print(f"start of a process: {min(start_cost() for _ in range(3)):.2f} s, not counted below")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("face crop", "raw video"):
            report(name, arguments.seconds, arguments.size, arguments.crf, Path(folder))


if __name__ == "__main__":
    main()
