"""What the gateway tells a native data plane, and takes from it."""

import asyncio
import datetime as dt
import io
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from enforcement.current_policy import adopt
from enforcement.gate import Gate
from gateway.data_plane.exchange import ANSWERS, Exchange
from gateway.data_plane.socket_listener import bind
from gateway.interception.sign_in_audit import SignInAudit
from store.database import Database
from store.vault import Vault

RULE = """
[[rules]]
name = "{name}"
who = {who}
kinds = ["email"]
register = 1
reset = 1
on_fault = "{on_fault}"
"""
BROWSER = "b" * 32


def rule(on_fault: str, who: str = "{ everyone = true }") -> str:
    return RULE.format(name=f"for {who}".replace('"', ""), who=who, on_fault=on_fault)


@dataclass
class Remembered:
    kept: list[tuple[str, str]] = field(default_factory=list)

    def remember(self, browser: str, target: str) -> None:
        self.kept.append((browser, target))


@dataclass
class Told:
    exchange: Exchange
    remembered: Remembered
    database: Database

    def post(self, path: str, body: str, method: str = "POST") -> tuple[str, str]:
        statuses = []
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "wsgi.input": io.BytesIO(body.encode()),
        }
        pieces = self.exchange(environ, lambda status, _headers: statuses.append(status))  # type: ignore[arg-type]
        return statuses[0], b"".join(pieces).decode()


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", Vault([os.urandom(32)]))
    database.upgrade()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    remembered = Remembered()
    exchange = Exchange(
        gate=Gate(database),
        remembered=remembered,  # type: ignore[arg-type]
        audit=SignInAudit(database),
        loop=loop,
        clock=now,
    )
    yield Told(exchange, remembered, database)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
    database.dispose()


@pytest.mark.parametrize(
    ("answers", "expected"),
    [(["deny"], "deny"), (["release"], "release"), (["release", "deny"], "deny")],
)
def test_everybody_is_released_only_where_every_rule_releases(
    told: Told, answers: list[str], expected: str
) -> None:
    rules = [rule(answer, '{ groups = ["few"] }') for answer in answers[1:]] + [rule(answers[0])]
    policy = adopt(told.database, "".join(rules), author="test", now=now())
    assert told.post("/state", "") == ("200 OK", f"version={policy.version}\nfault={expected}\n")


def test_without_a_policy_nobody_is_released(told: Told) -> None:
    told.database.dispose()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(told.exchange, "_policy", lambda: None)
        assert told.post("/state", "")[1] == "version=0\nfault=deny\n"


@pytest.mark.parametrize("fault", ["release", "deny"])
def test_envoy_is_told_the_same_in_its_own_words(told: Told, fault: str) -> None:
    policy = adopt(told.database, rule(fault), author="test", now=now())
    status, said = told.post("/v3/discovery:extension_configs", "{}")
    answer = json.loads(said)
    (resource,) = answer["resources"]
    (stated,) = resource["typed_config"]["metadata"]
    assert status == "200 OK"
    assert answer["version_info"] == f"{policy.version}.{fault}"
    assert stated["value"] == {"version": str(policy.version), "fault": fault}
    assert told.post("/alive", "", "GET") == ("200 OK", "")


def test_what_the_plane_answered_alone_is_counted_and_audited(told: Told) -> None:
    adopt(told.database, rule("deny"), author="test", now=now())
    before = ANSWERS.labels("decided")._value.get()
    told.post("/state", "decided=3\nfault_denied=2\nfault_released=0\nnonsense=9")
    assert ANSWERS.labels("decided")._value.get() == before + 3
    with told.database.transaction() as transaction:
        events = transaction.audit.find()
    faults = [event for event in events if event.action.startswith("sign_in:gate:fault")]
    assert [(event.action, event.detail["count"]) for event in faults] == [("sign_in:gate:fault_denied", 2)]


def test_only_what_can_be_a_request_of_a_browser_is_remembered(told: Told) -> None:
    good = "/auth?client_id=a&state=x"
    lines = [f"{BROWSER} {good}", f"short {good}", f"{BROWSER} /auth", f"{BROWSER} http://x/?client_id=a", ""]
    assert told.post("/remember", "\n".join(lines))[0] == "200 OK"
    assert told.remembered.kept == [(BROWSER, good)]


def test_nothing_else_is_answered(told: Told) -> None:
    for method, path in (
        ("GET", "/state"),
        ("POST", "/"),
        ("POST", "/sparekey/auth"),
        ("POST", "/v3/discovery:clusters"),
    ):
        assert told.post(path, "", method)[0] == "404 Not Found"


def test_a_socket_in_use_is_not_taken_and_a_left_one_is(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = bind(path)
    first.listen()
    with pytest.raises(OSError, match="in use"):
        bind(path)
    first.close()
    second = bind(path)
    assert path.stat().st_mode & 0o777 == 0o660
    second.close()
