"""nginx with a configuration of the test's own."""

import contextlib
import os
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from tests.servers.presence import program
from tests.servers.processes import answers, free_port, running
from tests.servers.versions import ReportVersion

CONFIGURATION = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
{locations}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running server."""

    port: int
    """On 127.0.0.1."""
    folder: Path
    """`access.log`, `error.log`."""

    @property
    def address(self) -> str:
        """The origin."""
        return f"http://127.0.0.1:{self.port}"


class StartNginx(Protocol):
    """Starts a server until the test ends."""

    def __call__(self, locations: str) -> Nginx:
        """Serve what the text, put inside `server { … }`, says."""


@pytest.fixture
def nginx(tmp_path: Path, report_version: ReportVersion) -> Iterator[StartNginx]:
    """Call with the inside of a `server` block."""
    binary = program("nginx", "/usr/sbin", package="nginx-light")
    with contextlib.ExitStack() as stack:

        def start(locations: str) -> Nginx:
            port = free_port()
            server = Nginx(port, tmp_path / f"nginx-{port}")
            stack.enter_context(_serving(binary, server, locations))
            report_version("nginx", _stated_version(server))
            return server

        yield start


@contextlib.contextmanager
def _serving(binary: Path, server: Nginx, locations: str) -> Iterator[None]:
    server.folder.mkdir()
    configuration = server.folder / "nginx.conf"
    # As root, workers would become a user who may not look into the test's folder.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(
        CONFIGURATION.format(user=user, folder=server.folder, port=server.port, locations=locations)
    )
    command = [binary, "-p", server.folder, "-e", server.folder / "error.log", "-c", configuration]
    with running(command, log=server.folder / "log", ready=lambda: answers(server.port)):
        yield


def _stated_version(server: Nginx) -> str:
    request = urllib.request.Request(f"{server.address}/", method="OPTIONS")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            stated = response.headers["Server"]
    except urllib.error.HTTPError as error:
        with error:
            stated = error.headers["Server"]
    return stated.partition("/")[2]
