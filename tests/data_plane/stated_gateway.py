"""A gateway that says of sessions what a test has it say, and applications behind an nginx that asks it."""

import contextlib
import getpass
import os
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import httpx

from gateway.data_plane.guard import Guarded
from gateway.data_plane.nginx import Places, applications_alone
from gateway.forward_auth.settings import ForwardAuthSettings
from gateway.settings import GatewaySettings
from tests.gateway.forward_auth.guarded import guarded
from tests.servers import nginx_lua
from tests.servers.processes import free_port

HTTP = """\
{modules}
{user}
worker_processes 2;
pid {folder}/pid;
events {{ worker_connections 512; }}
http {{
  access_log off;
{temporary}
{inside}
}}
"""


@dataclass
class StatedGateway:
    """What it says, and what it was asked."""

    revision: str = "now.1"
    """What it says over the socket."""
    seconds: float = 0
    """How long it takes to say so."""
    let_in: dict[str, str] = field(default_factory=dict)
    """Fields of its yes, besides who it is."""
    questions: int = 0
    heard: int = 0
    """How often the socket was answered."""


@dataclass
class Applications:
    """What runs."""

    gateway: StatedGateway
    client: httpx.Client
    origin: str

    def asked(self) -> int:
        """Send a request with a session; return how many questions that took."""
        before = self.gateway.questions
        cookie = {"Cookie": "sparekey-application=s.anything"}
        assert self.client.get(self.origin, headers=cookie).status_code == 200
        return self.gateway.questions - before


@contextlib.contextmanager
def applications(folder: Path, *, revoked_within_ms: int) -> Iterator[Applications]:
    """Guard an application with what `sparekey data-plane applications` prints."""
    gateway, port = StatedGateway(), free_port()
    origin = f"http://localhost:{port}"
    with guarded() as application, _answering(gateway, folder / "edge.sock") as asked_at:
        settings = SimpleNamespace(
            gateway=GatewaySettings(
                public="http://127.0.0.1:1", listen="127.0.0.1:1", data_plane_socket=folder / "edge.sock"
            ),
            forward_auth=ForwardAuthSettings.model_validate(
                {
                    "listen": f"127.0.0.1:{asked_at}",
                    "proxies": [{"address": "127.0.0.1", "states": "x_original"}],
                    "applications": [origin],
                    "revoked_within_ms": revoked_within_ms,
                }
            ),
        )
        behind = (Guarded(origin, f"http://127.0.0.1:{application.port}"),)
        inside = applications_alone(settings, behind, listen=f"127.0.0.1:{port}")  # type: ignore[arg-type]
        with (
            nginx_lua.serving(_configuration(folder, inside), folder, port),
            httpx.Client(
                trust_env=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0)
            ) as client,
        ):
            yield Applications(gateway, client, origin)


def _configuration(folder: Path, inside: str) -> str:
    names = ("ndk_http_module.so", "ngx_http_lua_module.so")
    return HTTP.format(
        modules="\n".join(f"load_module {Places().modules / name};" for name in names),
        user=f"user {'root' if os.geteuid() == 0 else getpass.getuser()};",
        folder=folder,
        temporary="\n".join(
            f"  {kind}_temp_path {folder}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        ),
        inside=inside,
    )


class _OverSocket(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


@contextlib.contextmanager
def _answering(gateway: StatedGateway, path: Path) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            gateway.questions += 1
            self._say({"Remote-User": "bob", **gateway.let_in}, b"")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            revision = f"revision={gateway.revision}\n".encode()
            time.sleep(gateway.seconds)
            self._say({}, revision if self.path == "/sessions" else b"version=1\nfault=deny\n")
            gateway.heard += self.path == "/sessions"

        def _say(self, fields: dict[str, str], body: bytes) -> None:
            self.send_response(200)
            for name, value in {**fields, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_told: object) -> None:
            """Say nothing."""

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler), _OverSocket(str(path), Handler)]
    threads = [threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    yield servers[0].server_address[1]
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        server.server_close()
        thread.join(5)
