"""A text message centre: the npm package `smpp`, which shares no code with ours."""

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.presence import missing, program
from tests.servers.processes import answers, free_port, running

SOURCE = Path(__file__).parent / "smsc"
CACHE = Path(__file__).parents[2] / ".cache" / "smsc"
PASSWORD = "let-me-i"


@dataclass(frozen=True, slots=True)
class Smsc:
    """One that runs."""

    port: int
    control: int

    def state(self) -> dict[str, Any]:
        """What came so far."""
        return self._ask("/state")

    def then(self, *what: str) -> None:
        """Say what happens to the next messages, in order."""
        self._ask("/next", list(what))

    def do(self, what: str) -> None:
        """Make it do something now."""
        self._ask("/do", what)

    def _ask(self, path: str, body: Any = None) -> dict[str, Any]:
        data = json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.control}{path}", data, timeout=5) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def smsc_program() -> Path:
    """The program with its package, installed once into `.cache` by its lock file."""
    npm, lock = program("npm", package="npm"), (SOURCE / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            _install(npm, folder)
    shutil.copyfile(SOURCE / "smsc.js", folder / "smsc.js")
    return folder / "smsc.js"


def _install(npm: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(SOURCE / name, folder / name)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, timeout=120)
    if done.returncode:
        missing("the npm package smpp", f"`npm ci` failed: {done.stderr.decode(errors='replace')[-300:]}")
    (folder / "installed").touch()


@pytest.fixture(scope="module")
def start_smsc(smsc_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Smsc]]:
    """Starts centres; with a key and a certificate, behind TLS."""
    node = program("node", package="nodejs")
    with contextlib.ExitStack() as stack:

        def start(*key_and_certificate: Path) -> Smsc:
            smsc = Smsc(free_port(), free_port())
            command = [node, smsc_program, str(smsc.port), str(smsc.control), *key_and_certificate]
            log = tmp_path_factory.mktemp("smsc") / "smsc.log"
            ready = lambda: answers(smsc.port) and answers(smsc.control)  # noqa: E731 - said once
            stack.enter_context(running(command, log=log, ready=ready))
            return smsc

        yield start
