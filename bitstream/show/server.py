"""The viewer's server: this machine alone, one address with a secret in it, nothing but reading.

Every address begins with a token that is drawn at the start; a request without it, or whose Host
header is not this server's (a page elsewhere whose name was pointed here), gets nothing. No path of
the file system is ever taken from a request: an address is a name from a table, or numbers.
"""

import hmac
import json
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .course import Course
from .material import Material, PriorsMaterial
from .pack import pack
from .site import FILES, GROUPS, about, read_file

_AT_ONCE = 4  # answers made at the same time: each may hold a frame
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Viewer(ThreadingHTTPServer):
    """The server of one or two files.

    Args:
        materials: The file, and another to compare it with.
        port: Of 127.0.0.1; 0 for a free one.
    """

    daemon_threads = True

    def __init__(self, materials: Sequence[Material], *, port: int = 0) -> None:
        """Take a port; answers begin with serve_forever().

        Raises:
            ValueError: It cannot be had.
        """
        self.courses: dict[int, Course] = {}
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "ports go from 0 to 65535"
            raise ValueError(f"port {port} cannot be had: {why}; 0 takes a free one") from error
        self.materials, self.token = list(materials), secrets.token_urlsafe(24)
        self.about = json.dumps(about(materials)).encode()
        self.courses |= {
            i: Course(m.path, m.count)
            for i, m in enumerate(materials)
            if isinstance(m, PriorsMaterial)
        }
        self.busy = threading.BoundedSemaphore(_AT_ONCE)

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self.server_port}/{self.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that has gone; everything else was answered with a status."""

    def server_close(self) -> None:
        """Stop, and let go of the files."""
        super().server_close()
        for course in self.courses.values():
            course.close()

    def answer(self, path: str, query: str) -> tuple[str, bytes] | None:
        """Type and content of what is at an address after the token; None: nothing."""
        if path in FILES:
            return FILES[path], read_file(path)
        if path == "about":
            return "application/json", self.about
        if not (found := re.fullmatch(r"([a-z]+)/(\d)(?:/(\d{1,9})(?:/([a-z]+))?)?", path)):
            return None
        what, which, index, group = found[1], int(found[2]), int(found[3] or 0), found[4]
        if which >= len(self.materials):
            return None
        data = self._data(what, which, index, group)
        return None if data is None else ("application/octet-stream", data)

    def _data(self, what: str, which: int, index: int, group: str | None) -> bytes | None:
        material = self.materials[which]
        if what == "columns":
            return pack(material.columns())
        if what == "course" and which in self.courses:
            values, ended = self.courses[which].since(min(index, material.count))
            return pack(values, ended=ended, first=index)
        if what == "frame" and group in GROUPS and index < material.count:
            return pack(material.arrays(index, group), index=index)
        return None


class _Handler(BaseHTTPRequestHandler):
    server: Viewer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Answer a request, if it may be answered."""
        path, _, query = self.path.partition("?")
        token, _, rest = path.lstrip("/").partition("/")
        ours = (f"127.0.0.1:{self.server.server_port}", f"localhost:{self.server.server_port}")
        if self.headers.get("Host") not in ours:
            return self._send(403, "text/plain", b"not this server's name\n")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            return self._send(403, "text/plain", b"open the address that davd-view printed\n")
        try:
            with self.server.busy:
                found = self.server.answer(rest, query)
        except Exception as error:  # noqa: BLE001 - a file that cannot be read further
            text = f"{type(error).__name__}: {error}".encode()
            return self._send(500, "text/plain; charset=utf-8", text)
        if found is None:
            return self._send(404, "text/plain", b"there is no such thing\n")
        return self._send(200, *found)

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        headers: Mapping[str, str] = _HEADERS | {"Content-Type": kind}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: requests hold the token."""

    def version_string(self) -> str:
        """Do not tell what we run on."""
        return "davd"
