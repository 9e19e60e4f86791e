"""How long davd-view takes to the next frame, in a headless Chromium: python -m benchmarks.view.

Wall time is from the key to the frame after it is drawn, of frames that were not shown before, at
the pace of a person. CPU time is that of server and browser together; it hardly depends on what
else the machine does.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
VIEWS = {
    "decoded": "view=decoded",
    "decoded, QP, partitions, vectors": "view=decoded&fill=qp&lines=parts,mv0",
    "residual": "view=residual",
    "prediction | residual": "view=prediction&right=residual&mode=wipe",
}
_STEPS = """(async () => { const took = [];
  for (let k = 0; k < COUNT; k++) {
    const began = performance.now();
    await app.go(app.state.frame + 1);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    took.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, PAUSE));
  }
  return JSON.stringify(took); })()"""


def main(argv: list[str] | None = None) -> int:
    """Measure and print one line a view."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("video", type=Path, nargs="?", help="default: 1280x720, encoded here")
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--pause", type=int, default=300, help="milliseconds between steps")
    arguments = parser.parse_args(argv)
    sys.path.append(str(ROOT / "tests"))
    from browser import browser
    from davd.bitstream.show.material import open_material
    from davd.bitstream.show.server import Viewer

    with tempfile.TemporaryDirectory() as folder, browser() as page:
        video = arguments.video or _encoded(Path(folder))
        with Viewer([open_material(video)]) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page.size(1400, 900)
            print(f"{video.name}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
            for name, fragment in VIEWS.items():
                page.open("about:blank")
                page.open(f"{server.address}#{fragment}")
                page.wait("app.ready && app.courseDone === app.files[0].count && app.took > 0", 300)
                script = _STEPS.replace("COUNT", str(arguments.steps))
                cpu = _cpu()
                took = json.loads(str(page.run(script.replace("PAUSE", str(arguments.pause)))))
                cpu = (_cpu() - cpu) / arguments.steps
                took.sort()
                median, worst = took[len(took) // 2], took[-1]
                print(
                    f"{name:34}{median:6.0f} ms median{worst:6.0f} ms worst{cpu * 1000:6.0f} ms CPU"
                )
            server.shutdown()
    return 0


def _encoded(folder: Path) -> Path:
    from clips import encode

    return encode(folder / "720p.mp4", frames=60, size=(1280, 720), options={"crf": "23"})


def _cpu() -> float:
    """CPU seconds of this process and those that it started."""
    total = time.process_time()
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


if __name__ == "__main__":
    raise SystemExit(main())
