"""`sparekey serve` as shipped: logs on, metrics on, its own Valkey and SQLite."""

import contextlib
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from benchmarks.harness import TESTED_CORE, Load, Service, Unfit, Variant, service
from tests.servers.certificates import Authority
from tests.servers.processes import free_port
from tests.servers.settings_file import unused_directory, write_settings

PROGRAM = Path(sys.executable).with_name("sparekey")
LOGGED = b'"event":"request"'
COUNTED = "sparekey_requests_total"
FLUSH_SECONDS = 10

POLICY = """\
[[rules]]
name = "Everyone"
who = { everyone = true }
kinds = ["email", "totp"]
register = 1
reset = 1
reconfirm_days = 0
"""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway is going to be; the provider has to know before it starts."""

    port: int
    """Of the plane."""

    @property
    def public(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    def free(cls) -> "Address":
        """Take a free port."""
        return cls(free_port())

    def settings(self, operations: int) -> dict[str, str]:
        """Return the section about the gateway, with the port of its health and metrics."""
        return {
            "public": self.public,
            "listen": f"127.0.0.1:{self.port}",
            "operations": f"127.0.0.1:{operations}",
        }


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway."""

    service: Service
    """Its process tree, Valkey included."""
    log: Path
    """Where its lines go."""
    operations: int
    """Port of health and metrics."""
    settings: Path
    """The file it was started with."""

    def variant(self) -> Variant:
        """Return it as a system under test whose books must agree with the load."""
        return Variant(self.service, before=self._books, after=self._audit)

    def _books(self) -> tuple[int, int]:
        """Return the number of log lines and of counted requests."""
        return self.log.read_bytes().count(LOGGED), self.counted()

    def counted(self) -> int:
        """Return the number of requests that it counted."""
        address = f"http://127.0.0.1:{self.operations}/sparekey/metrics"
        with urllib.request.urlopen(address, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return round(sum(float(line.split()[-1]) for line in lines if line.startswith(COUNTED)))

    def _audit(self, before: object, load: Load, connections: int) -> None:
        """Compare the books with the load.

        The load ends while every connection may have one request under way, which the gateway answers and
        writes down and the load no longer counts.
        """
        assert isinstance(before, tuple)
        deadline = time.monotonic() + FLUSH_SECONDS
        while True:
            lines, counted = (now - then for now, then in zip(self._books(), before, strict=True))
            if lines == counted and load.requests <= lines <= load.requests + connections:
                return
            if time.monotonic() > deadline:
                raise Unfit(f"{load.requests} requests, but {lines} log lines and {counted} counted")
            time.sleep(0.2)


@contextlib.contextmanager
def gateway(
    folder: Path,
    at: Address,
    *,
    idp_address: str,
    issuer: str,
    client: tuple[str, str] = ("sparekey", "not asked here"),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Gateway]:
    """Start the gateway in front of a provider."""
    folder.mkdir(parents=True)
    operations, nobody = free_port(), free_port()
    settings = write_settings(
        folder,
        POLICY,
        gateway=at.settings(operations),
        idp={
            "kind": "keycloak",
            "address": idp_address,
            "issuer": issuer,
            "client_id": client[0],
            "client_secret": client[1],
        },
        directories=[unused_directory(Authority.new(folder).file, nobody)],
        messages={"mail": {"host": "127.0.0.1", "port": nobody, "tls": "none"}},
    )
    log = folder / "log"
    with service(
        "Sparekey, link put in",
        [PROGRAM, "serve", "--settings", settings],
        port=at.port,
        core=TESTED_CORE,
        log=log,
        ready=lambda: is_ready(operations, log),
        environment=environment,
    ) as running:
        yield Gateway(running, log, operations, settings)


def is_ready(operations: int, log: Path) -> bool:
    """Tell whether a gateway answers, and its worker has started: no start is to be measured."""
    address = f"http://127.0.0.1:{operations}/sparekey/health/ready"
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
        return answer.status == HTTPStatus.OK and b"working\n" in log.read_bytes()
    return False
