"""Make the demo clip again: a talking head that data/synthetic.py draws and voices.

    python demo/regenerate.py [FOLDER]

writes talking-head.mp4 (x264 at CRF 42 with AAC sound: what is to be repaired) and
talking-head-clean.mp4 (the same frames at CRF 16: what it should look like). The face is NASA's
portrait of Eileen Collins, public domain, as shipped with scikit-image; the voice is synthetic.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from davd.data.media import ffmpeg_path
from davd.data.synthetic import synthesise, write_video

SEED, SECONDS, SIZE = 5, 5.0, 224
X264 = ("-c:v", "libx264", "-preset", "medium", "-threads", "1", "-pix_fmt", "yuv420p")
SOUND = ("-c:a", "aac", "-b:a", "48k")
PLAIN = ("-fflags", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart")


def main() -> None:
    """Write the two files."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    head = synthesise(SEED, SECONDS, size=SIZE, face="photograph", noise=0.7)
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "head.mkv"
        write_video(source, head)
        for name, crf in (("talking-head.mp4", 42), ("talking-head-clean.mp4", 16)):
            command = [ffmpeg_path(), "-v", "error", "-y", "-i", source, *X264, "-crf", str(crf)]
            subprocess.run([*command, *SOUND, *PLAIN, folder / name], check=True)
            print(f"{folder / name}: {(folder / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
