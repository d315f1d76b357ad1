"""A text message centre: the npm package `smpp`, which shares no code with ours."""

import contextlib
import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.npm_package import installed
from tests.servers.presence import program
from tests.servers.processes import answers, free_port, running

SOURCE = Path(__file__).parent / "smsc"
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
    return installed(SOURCE) / "smsc.js"


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
