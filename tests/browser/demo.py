"""The demo as people start it: one process, real ports."""

import contextlib
import json
import socket
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.processes import free_port, running

ENVIRONMENT = {"SPAREKEY_LIMITS__WAIT_WITHOUT_SCRIPT_SECONDS": "3"}


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """What the ready file says."""

    gateway: str
    application: str
    outbox: str
    passwords: dict[str, str]
    seeds: dict[str, str]


@contextlib.contextmanager
def started() -> Iterator[RunningDemo]:
    """Start `sparekey demo` and stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="sparekey-browser-") as folder:
        ready, log = Path(folder) / "ready.json", Path(folder) / "log"
        command = [
            sys.executable,
            "-m",
            "gateway.cli.main",
            "demo",
            "--port",
            str(_base()),
            "--ready-file",
            ready,
        ]
        with running(command, log=log, ready=ready.exists, seconds=60, environment=ENVIRONMENT):
            told = json.loads(ready.read_text(encoding="utf-8"))
            people = told["people"]
            yield RunningDemo(
                told["gateway"],
                told["relying_party"],
                told["outbox"],
                {person["username"]: person["password"] for person in people},
                {person["username"]: person["totp_seed"] for person in people if person["totp_seed"]},
            )


def _base() -> int:
    """A port with two free ones after it."""
    while True:
        base = free_port()
        if all(_is_free(port) for port in (base, base + 1, base + 2)):
            return base


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
