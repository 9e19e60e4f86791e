"""Run the C core, built with sanitizers, over a video: whole, NAL unit by NAL unit, and damaged.

    python tests/sanitize.py build/decode_main VIDEO [damaged copies, default 12] [RUNNER...]

Whole, its frames must be FFmpeg's; damaged, any answer will do but a sanitizer's report, as long as
it is the same with one, two and three threads. RUNNER is a command that runs the program where this
processor cannot.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import av


def write_annex_b(video: Path, stream: Path) -> None:
    """Copy the H.264 of any container into a bare stream."""
    with av.open(str(video)) as source, av.open(str(stream), "w", format="h264") as target:
        picture = source.streams.video[0]
        copy = target.add_stream_from_template(picture)
        for packet in source.demux(picture):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)


def ffmpeg_md5(stream: Path) -> tuple[str, int]:
    """MD5 of all planes, and the number of frames, as FFmpeg decodes them."""
    digest, count = hashlib.md5(), 0
    with av.open(str(stream), format="h264") as source:
        for frame in source.decode(video=0):
            digest.update(frame.to_ndarray().tobytes())
            count += 1
    return digest.hexdigest(), count


def run(program: list[str], *arguments: str) -> list[str]:
    """Words of the one line that the program prints; leaves where a sanitizer ended it."""
    done = subprocess.run([*program, *arguments], capture_output=True, text=True, timeout=600)
    if done.returncode or "runtime error" in done.stderr or "Sanitizer" in done.stderr:
        sys.exit(
            f"{' '.join(program)} {' '.join(arguments)}: status {done.returncode}\n{done.stderr}"
        )
    return done.stdout.split()


def with_threads(program: list[str], *arguments: str) -> list[str]:
    """The same of a run with one thread; leaves where two or three say otherwise."""
    alone = run(program, *arguments)
    for threads in ("2", "3"):
        said = run(program, "-t", threads, *arguments)
        if said != alone:
            sys.exit(f"{' '.join(arguments)}: {said} with {threads} threads, {alone} with one")
    return alone


def main() -> None:
    """Decode whole and by unit, compare, then decode damaged copies."""
    program, video = [*sys.argv[4:], sys.argv[1]], Path(sys.argv[2])
    copies = int(sys.argv[3]) if len(sys.argv) > 3 else 12
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder) / "stream.264"
        write_annex_b(video, stream)
        expected, count = ffmpeg_md5(stream)
        for how in ([], ["-p"]):
            md5, frames, concealed, *_ = with_threads(program, *how, str(stream))
            if (md5, int(frames), int(concealed)) != (expected, count, 0):
                sys.exit(f"{video}: {md5} of {frames} frames, FFmpeg has {expected} of {count}")
        for seed in range(1, copies + 1):
            with_threads(program, "-p", "-s", str(seed), str(stream))
    print(
        f"{program[-1]}: {video.name}: {count} frames equal FFmpeg's, "
        f"{copies} damaged copies endured"
    )


if __name__ == "__main__":
    main()
