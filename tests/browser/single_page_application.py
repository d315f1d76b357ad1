"""An application of one page: plain JavaScript in `single_page/`, and a server that knows nothing."""

import contextlib
import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import Page, expect

from tests.journeys.keycloak_site import Site, settled
from tests.servers import keycloak as kc
from tests.servers.processes import free_port

FOLDER = Path(__file__).with_name("single_page")
FILES = ("/application.js", "/configuration.json")
PATIENCE = 15_000
"""Milliseconds: two sign-ins, one in a frame, on a busy machine."""


@contextlib.contextmanager
def serving(site: Site) -> Iterator[str]:
    """Serve the application from a port of its own, on the gateway's host; return its origin."""
    configuration = {
        "issuer": site.realm.issuer,
        "authorization_endpoint": f"{site.endpoints}/auth",
        "client_id": kc.PUBLIC_APPLICATION,
    }

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/configuration.json":
                self._tell(json.dumps(configuration).encode())
                return
            if urlsplit(self.path).path not in FILES:
                # Every address of the application is its one page.
                self.path = "/index.html"
            super().do_GET()

        def _tell(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_told: object) -> None:
            """Say nothing."""

    port = free_port()
    server = ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Handler, directory=str(FOLDER)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def learnt(page: Page) -> dict[str, Any]:
    """Wait until the application has an answer, and return it."""
    told = page.locator("#signed-in")
    expect(told).not_to_be_empty(timeout=PATIENCE)
    found: dict[str, Any] = json.loads(told.inner_text())
    return found


def redeem(site: Site, origin: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Redeem the code as the application would; return the ID token's claims."""
    told = httpx.post(
        f"{site.endpoints}/token",
        data={
            "grant_type": "authorization_code",
            "client_id": kc.PUBLIC_APPLICATION,
            "redirect_uri": f"{origin}/callback",
            "code": answer["code"],
            "code_verifier": answer["verifier"],
        },
        trust_env=False,
    )
    assert told.status_code == 200, told.text
    claims = settled(told.json()["id_token"])
    assert claims["nonce"] == answer["nonce"]
    return claims
