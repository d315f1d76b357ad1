"""A real Redis of the writeback agents' own: TLS only, each agent and the gateway a user of its own."""

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from idp_plugin.demo.pki import make_certificates
from idp_plugin.writeback.streams import redis_user
from tests.servers import presence
from tests.servers.processes import free_port, running
from tests.servers.versions import ReportVersion

_ADMINISTRATOR = "administrator-Secret-1"
GATEWAY_PASSWORD = "gateway-Secret-1"


class RedisOverTls:
    """One server with its own folder, port, authority and users; it keeps on disk what it was told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.certificates = make_certificates(folder / "tls")
        self._running = contextlib.ExitStack()

    def __enter__(self) -> Self:
        # As an operator would: nobody without a name, and the gateway sees the agents' keys alone.
        (self.folder / "users.acl").write_text(
            f"user default off\n"
            f"user administrator on >{_ADMINISTRATOR} ~* &* +@all\n"
            f"user gateway on >{GATEWAY_PASSWORD} resetchannels ~{{sparekey:writeback:*}}:* +@all -@admin\n"
        )
        self._launch()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def restart(self) -> None:
        """Kill it and start it again with what it kept."""
        self._running.close()
        self._launch()

    def url(self, user: str, password: str) -> str:
        """The address for one user; whom to trust stands in the settings of either side."""
        return f"rediss://{user}:{password}@127.0.0.1:{self.port}/0"

    @property
    def gateway_url(self) -> str:
        """The address as the gateway's settings have it, with the authority."""
        address = self.url("gateway", GATEWAY_PASSWORD)
        return f"{address}?ssl_ca_certs={self.certificates.authority}"

    def add_agent(self, name: str, directory: str, password: str) -> str:
        """Give an agent the user that `sparekey agents redis-user` prints; return its address."""
        with self.administrator() as client:
            client.execute_command(*shlex.split(redis_user(name, directory, password)))
            client.execute_command("ACL", "SAVE")
        return self.url(name, password)

    @contextlib.contextmanager
    def administrator(self) -> "Iterator[redis.Redis]":
        """Somebody who may do everything, for arranging and looking."""
        authority = str(self.certificates.authority)
        with redis.Redis.from_url(
            self.url("administrator", _ADMINISTRATOR), ssl_ca_certs=authority, retry=None
        ) as client:
            yield client

    def _launch(self) -> None:
        options: dict[str, Any] = {
            "--port": 0,
            "--tls-port": self.port,
            "--bind": "127.0.0.1",
            "--tls-cert-file": self.certificates.certificate,
            "--tls-key-file": self.certificates.key,
            "--tls-ca-cert-file": self.certificates.authority,
            "--tls-auth-clients": "no",
            "--aclfile": self.folder / "users.acl",
            "--dir": self.folder,
            "--save": "",
            "--appendonly": "yes",
            "--maxmemory-policy": "noeviction",
        }
        words = [str(word) for option in options.items() for word in option]
        program = presence.program("redis-server", package="redis-server")
        self._running.enter_context(running([program, *words], log=self.folder / "log", ready=self._answers))

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError, OSError), self.administrator() as client:
            return bool(client.ping())
        return False


@pytest.fixture
def redis_over_tls(report_version: ReportVersion) -> Iterator[RedisOverTls]:
    """A fresh server."""
    folder = Path(tempfile.mkdtemp(prefix="sparekey-redis-"))
    try:
        with RedisOverTls(folder) as server:
            with server.administrator() as client:
                report_version("Redis", client.info("server")["redis_version"])
            yield server
    finally:
        shutil.rmtree(folder)
