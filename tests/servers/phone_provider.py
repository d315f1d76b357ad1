"""A provider of text messages and calls, on loopback: it checks what it gets, and plays the person called."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "a key that signs what we ask for a call"
SECRET = "a secret that signs what providers tell"


def sign(secret: str, at: int, body: bytes) -> str:
    """Sign as the documents say, with nothing of ours."""
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass
class Heard:
    """What a person on the phone heard."""

    at_once: str
    after_the_key: str = ""
    dialled: str = ""


@dataclass
class PhoneProvider:
    """One that runs."""

    port: int
    requests: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """What the next requests are answered with."""
    answers: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it is asked."""
        return f"http://127.0.0.1:{self.port}/v1/messages"

    def took(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Keep a request; the answer names it."""
        self.requests.append({"path": path, "headers": headers, "body": body})
        status = self.statuses.pop(0) if self.statuses else 202
        said = (
            self.answers.pop(0)
            if self.answers
            else json.dumps({"result": {"ids": [self.newest_id]}}).encode()
        )
        return status, said

    @property
    def newest_id(self) -> str:
        """The id of the newest message."""
        return f"call-{len(self.requests)}"

    def call(self, *, presses: str = "#", machine: bool = False) -> Heard:
        """Play the newest call to somebody who presses a key, or to a machine that presses none."""
        request = self.requests[-1]
        at = int(request["headers"]["x-timestamp"])
        assert request["headers"]["x-signature"] == f"sha256={sign(KEY, at, request['body'])}"
        assert abs(at - time.time()) < 60
        asked = json.loads(request["body"])
        heard = Heard(at_once=asked["say"], dialled=f"{asked['to']}w{asked['extension']}".rstrip("w"))
        if not machine and presses == asked["key"]:
            heard.after_the_key = asked["then_say"]
        return heard


class _Handler(BaseHTTPRequestHandler):
    provider: PhoneProvider

    def do_POST(self) -> None:
        """Take one request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, said = self.provider.took(self.path, headers, body)
        self.send_response(status)
        if status in {301, 302, 307}:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_PUT = do_POST  # noqa: N815 - the name that the library calls

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@pytest.fixture
def phone_provider() -> Iterator[PhoneProvider]:
    """One for one test."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    provider = PhoneProvider(server.server_address[1])
    server.RequestHandlerClass = type("Handler", (_Handler,), {"provider": provider})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield provider
    server.shutdown()
    thread.join()
    server.server_close()
