"""The walk through the main job says yes when it works, and no, at the right step, when a part does not."""

import ast
import asyncio
import contextlib
import io
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enforcement.decision import Release
from enforcement.gate import Gate
from gateway.cli.demo import WALK
from gateway.cli.walk.other_journeys import Change, Confirmation, Unlock
from gateway.cli.walk.run import JOURNEYS, Journey, walk
from gateway.demo import Demo, open_demo
from gateway.interception.decide import Decider
from gateway.plane.verdict import Pass
from idp_plugin.ldap.openldap import OpenLdap
from store.authenticators import Authenticators


def three_ports() -> int:
    """Return the first of three ports in a row that nobody listened on a moment ago."""
    while True:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError, OverflowError):
            first = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for port in (first + 1, first + 2):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            return int(first)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A demo with its gateway listening."""
    started, stop = threading.Event(), asyncio.Event()

    async def serve(opened: Demo) -> None:
        await opened.sparekey.start(log_descriptor=None)
        started.set()
        await stop.wait()
        await opened.sparekey.stop()

    with open_demo(three_ports(), tmp_path) as opened:
        opened.sparekey.services.jobs.start_thread()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_until_complete, args=(serve(opened),))
        thread.start()
        assert started.wait(10)
        yield opened
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def walked(demo: Demo, *journeys: Journey) -> tuple[bool, list[str]]:
    """Walk; return whether it succeeded and what was said."""
    said = io.StringIO()
    return walk(demo.ready(), said, journeys or JOURNEYS), said.getvalue().splitlines()


def test_the_main_job_works(demo: Demo) -> None:
    succeeded, said = walked(demo)
    assert succeeded, said
    assert said[-1].startswith("The main job works from end to end")


def test_it_fails_when_the_gate_lets_everybody_through(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object, **__: object) -> Release:
        return Release("covered")

    monkeypatch.setattr(Gate, "ask", ask)
    succeeded, said = walked(demo)
    assert not succeeded
    assert "FAILED  her password is accepted, and she is interrupted" in said[-1]


def test_it_fails_when_nothing_is_held(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    def let_go(*_: object) -> Pass:
        return Pass()

    monkeypatch.setattr(Decider, "_hold", let_go)
    succeeded, said = walked(demo)
    assert not succeeded
    assert "FAILED  her password is accepted, and she is interrupted" in said[-1]


def test_it_fails_when_the_directory_is_not_written(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(*_: object) -> tuple[()]:
        return ()

    monkeypatch.setattr(OpenLdap, "set_password", forget)
    succeeded, said = walked(demo)
    assert not succeeded
    assert "FAILED  back at the sign-in page the old password is refused" in said[-1]


def test_it_says_so_when_nobody_answers() -> None:
    nowhere = f"http://127.0.0.1:{three_ports()}"
    ready: dict[str, Any] = {
        "gateway": nowhere,
        "relying_party": nowhere,
        "outbox": nowhere,
        "people": [{"username": name, "password": "x"} for name in ("alice", "carol", "dave", "grace")],
    }
    said = io.StringIO()
    assert not walk(ready, said)
    assert "did not answer" in said.getvalue()


def test_it_imports_nothing_but_the_standard_library() -> None:
    modules: set[str] = set()
    for file in Path(WALK[-1], "walk").glob("*.py"):
        nodes = tuple(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
        assert all(node.level < 2 for node in imports)
        modules |= {node.module for node in imports if node.module and not node.level}
        modules |= {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    assert modules
    assert {module.partition(".")[0] for module in modules} <= sys.stdlib_module_names


def test_as_a_program_it_answers_with_its_exit_status(demo: Demo, tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    demo.write_ready_file(file)
    command = [sys.executable, *WALK, str(file)]
    first = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert first.returncode == 0, first.stdout
    # Everything is registered now, and the password is another one.
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "FAILED" in second.stdout


def test_it_fails_when_the_lock_is_not_ended(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenLdap, "unlock", lambda *_: True)
    succeeded, said = walked(demo, Unlock)
    assert not succeeded
    assert "FAILED  the same password opens the application" in said[-1]


def test_it_fails_when_an_expired_password_stays(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OpenLdap, "change_password", lambda *_: ())
    succeeded, said = walked(demo, Change)
    assert not succeeded
    assert "FAILED  the new password opens the application" in said[-1]


def test_it_fails_when_nothing_is_confirmed(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authenticators, "confirm_all", lambda *_, **__: None)
    succeeded, said = walked(demo, Confirmation)
    assert not succeeded
    assert "FAILED  one press says that everything is still right" in said[-1]
