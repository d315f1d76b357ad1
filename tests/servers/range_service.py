"""A range service over real HTTP, in the shape of the public one: prefix in, padded suffixes out."""

import hashlib
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class RangeServer:
    """Knows some passwords; remembers what it was asked."""

    def __init__(self) -> None:
        self.leaked: dict[str, int] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.mood = ""
        """How it misbehaves: `status`, `nonsense`, `empty`, `huge`, `drip`, `redirect`, `cut`."""
        self.leave = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(
                    (self.path, {name.lower(): value for name, value in self.headers.items()})
                )
                getattr(server, f"_{server.mood or 'answer'}")(self)

            def log_message(self, *_args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def leak(self, password: str, times: int = 1) -> None:
        self.leaked[hashlib.sha1(password.encode()).hexdigest().upper()] = times

    def stop(self) -> None:
        self.leave.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def lines(self, prefix: str, *, padded: bool) -> list[str]:
        found = [f"{digest[5:]}:{times}" for digest, times in self.leaked.items() if digest[:5] == prefix]
        others = [f"{secrets.token_hex(18).upper()[:35]}:{number + 1}" for number in range(300)]
        padding = [f"{secrets.token_hex(18).upper()[:35]}:0" for _line in range(500)] if padded else []
        return sorted([*found, *others, *padding])

    def _answer(self, to: BaseHTTPRequestHandler) -> None:
        prefix = to.path.removeprefix("/range/")
        padded = to.headers.get("Add-Padding") == "true"
        self._say(to, 200, "\r\n".join(self.lines(prefix, padded=padded)).encode())

    def _status(self, to: BaseHTTPRequestHandler) -> None:
        self._say(to, 503, "\r\n".join(self.lines("00000", padded=True)).encode())

    def _nonsense(self, to: BaseHTTPRequestHandler) -> None:
        self._say(to, 200, b"<html>sign in to this network first</html>")

    def _empty(self, to: BaseHTTPRequestHandler) -> None:
        self._say(to, 200, b"")

    def _huge(self, to: BaseHTTPRequestHandler) -> None:
        self._say(to, 200, b"0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n" * 60_000)

    def _redirect(self, to: BaseHTTPRequestHandler) -> None:
        to.send_response(302)
        to.send_header("Location", f"{self.address}/elsewhere")
        to.end_headers()

    def _cut(self, to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.send_header("Content-Length", "1000")
        to.end_headers()
        to.wfile.write(b"0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n")

    def _drip(self, to: BaseHTTPRequestHandler) -> None:
        to.send_response(200)
        to.end_headers()
        while not self.leave.wait(0.02):
            try:
                to.wfile.write(b"0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n")
            except OSError:
                return

    @staticmethod
    def _say(to: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        to.send_response(status)
        to.send_header("Content-Type", "text/plain")
        to.send_header("Content-Length", str(len(body)))
        to.end_headers()
        to.wfile.write(body)


@pytest.fixture
def range_server() -> Iterator[RangeServer]:
    server = RangeServer()
    yield server
    server.stop()
