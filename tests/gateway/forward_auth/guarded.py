"""An application that trusts its proxy, and tells what reached it."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.servers.processes import free_port


@dataclass
class Guarded:
    """The running application."""

    port: int
    seen: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)
    """Of each request its method with its target, and its header fields as they came."""


@contextlib.contextmanager
def guarded() -> Iterator[Guarded]:
    """Serve an application that answers every request with its own header fields."""
    application = Guarded(free_port())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            sent = self._body()
            application.seen.append((f"{self.command} {self.path}", self.headers.items()))
            told = {"path": self.path, "fields": self.headers.items(), "body": sent.decode()}
            body = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def __getattr__(self, name: str) -> object:
            # Every method is answered alike.
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, *_told: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", application.port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield application
    server.shutdown()
    server.server_close()
    thread.join(5)
