"""A proxy before an HTTP server that loses the answers to a method, or its requests."""

import http.client
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit


class BrokenProxy:
    """Passes everything on until it is told otherwise."""

    def __init__(self, upstream: str) -> None:
        host = urlsplit(upstream).netloc
        self._seen: Counter[str] = Counter()
        self._answers_lost = self._requests_lost = ""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._pass_on(self, host)

            def __getattr__(self, name: str) -> Callable[[], None]:
                if not name.startswith("do_"):
                    raise AttributeError(name)
                return self.do_GET

            def log_message(self, *_args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def lose_answers_to(self, method: str) -> None:
        """Pass requests on, and close the connection in the place of an answer."""
        self._answers_lost = method

    def swallow(self, method: str) -> None:
        """Take requests, and close the connection without passing them on."""
        self._requests_lost = method

    def count(self, method: str) -> int:
        """Return how often a method was asked for."""
        return self._seen[method]

    def _pass_on(self, request: BaseHTTPRequestHandler, host: str) -> None:
        method = request.command
        self._seen[method] += 1
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if method == self._requests_lost:
            request.close_connection = True
            return
        upstream = http.client.HTTPConnection(host, timeout=30)
        try:
            upstream.request(method, request.path, body, dict(request.headers))
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        if method == self._answers_lost:
            request.close_connection = True
            return
        request.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                request.send_header(name, value)
        if answer.status != http.HTTPStatus.NO_CONTENT:
            request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
