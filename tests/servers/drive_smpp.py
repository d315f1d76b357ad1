"""The text message centre of Kannel's own load test: it counts, and knows SMPP 3.3 alone.

It ends with the first connection that ends, and cannot do without the program that it also drives: somebody
has to listen on the port of that one, and may keep silent.
"""

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen

import pytest

from tests.servers.presence import program
from tests.servers.processes import STOP_SECONDS, free_port, running

FOLDER = "/usr/lib/kannel/test"
_SMSBOX_PORT = 13001
"""Written into the program."""
_TEXT = re.compile(r"submit_sm: short_message = <(.*)>")
_COUNT = re.compile(r"Number of messages sent to SMSC: (\d+)")


@dataclass(frozen=True, slots=True)
class DriveSmpp:
    """One that runs."""

    port: int
    log: Path
    process: Popen[bytes]

    def texts(self) -> list[str]:
        """What came, once its connection has ended."""
        self.process.wait(STOP_SECONDS)
        return _TEXT.findall(self._told())

    def count(self) -> int:
        """How many messages it says came, once its connection has ended."""
        self.process.wait(STOP_SECONDS)
        (count,) = _COUNT.findall(self._told())
        return int(count)

    def _told(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@pytest.fixture
def drive_smpp(tmp_path: Path) -> Iterator[DriveSmpp]:
    """A centre for one connection."""
    drive = program("drive_smpp", FOLDER, package="kannel-extras")
    port, log = free_port(), tmp_path / "drive_smpp.log"
    command = [drive, "-v", "0", "-p", str(port)]
    with _smsbox(), running(command, log=log, ready=lambda: _listens(port)) as process:
        yield DriveSmpp(port, log, process)


@contextlib.contextmanager
def _smsbox() -> Iterator[None]:
    with socket.create_server(("127.0.0.1", _SMSBOX_PORT), reuse_port=True):
        yield


def _listens(port: int) -> bool:
    """Look without connecting: a connection that ends is its end."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(each[1].endswith(f":{port:04X}") and each[3] == "0A" for each in sockets)
