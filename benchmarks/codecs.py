"""What is gained on videos whose bitstream is not read: other codecs, by their pictures alone.

    python -m benchmarks.codecs WORK --frames 6 --step 3

WORK is a folder made by `make dataset`. Every STEP-th of its test clips is encoded by each of the
encoders below, finely and coarsely, and restored as davd-restore restores such a video. Prints a
table in Markdown: PSNR of luma, the mean over FRAMES frames of each clip, then over clips.
"""

import argparse
import itertools
import tempfile
from pathlib import Path
from statistics import fmean, stdev

import av
import torch
from davd.data.index import load_index
from davd.restore import restore

from .clips import encode

ENCODERS = {  # by FFmpeg's name: options of a fine and of a coarse encode
    "libvpx": ({"crf": "20", "b": "200000"}, {"crf": "55", "b": "20000"}),
    "libvpx-vp9": ({"crf": "30", "b": "0"}, {"crf": "52", "b": "0"}),
    "libsvtav1": ({"crf": "35"}, {"crf": "58"}),
    "mpeg4": ({"qmin": "4", "qmax": "4"}, {"qmin": "16", "qmax": "16"}),
    "mpeg2video": ({"qmin": "4", "qmax": "4"}, {"qmin": "16", "qmax": "16"}),
}
BEFORE = 24  # frames that are encoded before the first one measured, a key frame among them


def clean_frames(path: Path, count: int) -> list[av.VideoFrame]:
    """The first frames of a clip."""
    with av.open(str(path)) as container:
        frames = itertools.islice(container.decode(video=0), count)
        return [frame.reformat(format="yuv420p") for frame in frames]


def main() -> None:
    """Encode, restore and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="work folder made by davd-prepare")
    parser.add_argument("--checkpoint", default="generic")
    parser.add_argument("--frames", type=int, default=6, help="measured, of each clip")
    parser.add_argument("--step", type=int, default=1, help="every STEP-th clip only")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clips = [clip for clip in load_index(arguments.work).clips if clip.split == "test"]
    clips = clips[:: arguments.step]
    print("| encoder, options | clips | PSNR Y decoded | gain | +- | least |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        coded, clean, out = (Path(folder) / name for name in ("a.mkv", "clean.mkv", "out.y4m"))
        for encoder, options in ((e, o) for e, both in ENCODERS.items() for o in both):
            decoded, gains = [], []
            for clip in clips:
                frames = clean_frames(clip.clean, BEFORE + arguments.frames + 2)
                encode(frames, coded, encoder, **options)
                encode(frames, clean, "ffv1")
                figures = restore(
                    coded, out, reference=clean, checkpoint=arguments.checkpoint, overwrite=True,
                    speed="balanced", start=BEFORE / 25, end=(BEFORE + arguments.frames) / 25,
                ).figures  # fmt: skip
                decoded.append(figures["psnr_y_decoded"])
                gains.append(figures["psnr_y_restored"] - decoded[-1])
            told = " ".join(f"{k}={v}" for k, v in options.items())
            cells = [f"{encoder}, {told}", str(len(gains)), f"{fmean(decoded):.2f}"]
            cells += [f"{fmean(gains):+.3f}", f"{stdev(gains) / len(gains) ** 0.5:.3f}"]
            print(f"| {' | '.join(cells)} | {min(gains):+.3f} |", flush=True)


if __name__ == "__main__":
    main()
