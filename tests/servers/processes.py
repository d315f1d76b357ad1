"""Start a program, wait until it answers, stop it together with its children."""

import contextlib
import functools
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

STOP_SECONDS = 15
_FIRST_PORT = 15_000


class DidNotStartError(Exception):
    """The program ended, or never answered; the message carries the end of its log."""


def free_port() -> int:
    """Return a port on 127.0.0.1 that nobody used a moment ago and no outgoing connection will be given."""
    while True:
        port = _FIRST_PORT + secrets.randbelow(_first_ephemeral_port() - _FIRST_PORT)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@functools.cache
def _first_ephemeral_port() -> int:
    """Return the first of the ports that the kernel gives to outgoing connections, at any time."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return first if first > _FIRST_PORT + 1000 else 0xFFFF


def answers(port: int) -> bool:
    """Tell whether somebody accepts connections on a loopback port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def reachable_folder(name: str) -> Iterator[Path]:
    """A folder for a server that runs as a user of its own; pytest keeps its own to whoever runs it."""
    with tempfile.TemporaryDirectory(prefix=f"sparekey-{name}-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    seconds: float = 20,
    environment: Mapping[str, str] | None = None,
    user: str | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the length of the `with` block.

    Args:
        log: Takes what the program prints.
        ready: Asked over and over until it says yes.
        environment: Added to ours.
        user: Run as this user, when we are root.
    Raises:
        DidNotStartError: With the last lines of the log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            user=user,
            group=user,
            extra_groups=[] if user else None,
        )
    try:
        _wait(process, ready, seconds, log)
        yield process
    finally:
        stop(process)


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise DidNotStartError(f"{process.args!r}\n{tail(log)}")
        time.sleep(0.02)


def tail(log: Path, lines: int = 25) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def stop(process: subprocess.Popen[bytes], signal_number: int = signal.SIGTERM) -> None:
    """Ask the program to end, insist after a while, and take its children along."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal_number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)
