"""A headless Chromium for tests, spoken to by the DevTools protocol."""

import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None) if find_spec("websockets") else None
MISSING = "no Chromium on PATH, or no package websockets"
QUIET = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--autoplay-policy=no-user-gesture-required")  # fmt: skip


class Page:
    """One tab."""

    def __init__(self, socket: "ClientConnection") -> None:
        self._socket, self._number = socket, 0
        self.errors: list[str] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict:
        self._number += 1
        call = {"id": self._number, "method": method, "params": parameters}
        self._socket.send(json.dumps(call))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            self._note(answer)
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _note(self, event: dict) -> None:
        if event.get("method") == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.errors.append(str(details.get("exception", details).get("description", details)))
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.errors.append(event["params"]["entry"]["text"])

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 500)  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> object:
        """Value of an expression; promises are waited for."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True,
                           returnByValue=True)  # fmt: skip
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, script: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}; {self.errors}"
            time.sleep(0.05)

    def key(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def mouse(self, kind: str, x: float, y: float, buttons: int = 0) -> None:
        button = "left" if kind != "mouseMoved" or buttons else "none"
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button,
                  buttons=buttons, clickCount=int(kind != "mouseMoved"))  # fmt: skip

    def click(self, x: float, y: float) -> None:
        for kind, buttons in (("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)):
            self.mouse(kind, x, y, buttons)

    def picture(self, path: Path, *, whole: bool = False) -> Path:
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))
        return path


def _target(told: Path) -> str:
    """Address of a new tab of the browser that wrote its port into a file."""
    port = int(told.read_text().splitlines()[0])
    request = Request(f"http://127.0.0.1:{port}/json/new?about:blank", method="PUT")
    with urlopen(request) as answer:
        return json.load(answer)["webSocketDebuggerUrl"]


@contextmanager
def browser() -> Iterator[Page]:
    """A tab of a browser of its own."""
    from websockets.sync.client import connect

    with tempfile.TemporaryDirectory(prefix="davd-browser-", ignore_cleanup_errors=True) as profile:
        command = [str(CHROMIUM), *QUIET, f"--user-data-dir={profile}", "--remote-debugging-port=0"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            try:
                told = Path(profile) / "DevToolsActivePort"
                end = time.monotonic() + 30
                while not (told.exists() and told.read_text().count("\n")):
                    assert time.monotonic() < end and run.poll() is None, "no Chromium"
                    time.sleep(0.05)
                with connect(_target(told), max_size=None) as socket:
                    yield Page(socket)
            finally:
                run.terminate()
                run.wait(20)
