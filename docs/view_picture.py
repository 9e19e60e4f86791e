"""Draws docs/images/view.png: davd-view on the bundled clip, in a headless Chromium.

Run: python docs/view_picture.py [-o docs/images/view.png]
"""

import argparse
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests"))  # its browser
FRAGMENT = "frame=8&fill=type&alpha=0.4&lines=parts,mv0&lock=120,161"


def main(argv: list[str] | None = None) -> int:
    """Serve the clip, and photograph the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "images" / "view.png")
    arguments = parser.parse_args(argv)
    from browser import browser
    from davd.bitstream.show.material import open_material
    from davd.bitstream.show.server import Viewer

    clip = open_material(ROOT / "demo" / "talking-head.mp4")
    with Viewer([clip]) as server, browser() as page:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.size(1280, 860)
        page.open(f"{server.address}#{FRAGMENT}")
        page.wait("document.documentElement.dataset.frame === '8'")
        page.wait("app.courseDone === app.files[0].count")
        page.picture(arguments.output)
        server.shutdown()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
