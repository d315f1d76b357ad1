"""What the gateway tells a native data plane, and takes from it."""

import asyncio
import datetime as dt
import io
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from enforcement.current_policy import adopt
from enforcement.gate import Gate
from gateway.data_plane.exchange import ANSWERS, Exchange
from gateway.data_plane.socket_listener import bind
from gateway.ended_sessions import EndedSessions
from gateway.forward_auth import known_sessions
from gateway.forward_auth.known_sessions import stated_revision
from gateway.interception.sign_in_audit import SignInAudit
from store.database import Database
from store.errors import StoreUnavailable
from store.expiring import Expiring
from store.vault import Vault
from tests.servers.valkey import Valkey

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
    expiring: Expiring

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
def told(tmp_path: Path, valkey: Valkey) -> Iterator[Told]:
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", Vault([os.urandom(32)]))
    database.upgrade()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    remembered, expiring = Remembered(), Expiring(valkey.url, Vault([bytes(32)]))
    exchange = Exchange(
        gate=Gate(database),
        remembered=remembered,  # type: ignore[arg-type]
        audit=SignInAudit(database),
        ended=EndedSessions(expiring),
        loop=loop,
        clock=now,
    )
    yield Told(exchange, remembered, database, expiring)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
    expiring.close()
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


def test_the_revision_is_another_one_when_anything_ended_and_after_a_start(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, first = told.post("/sessions", "")
    assert status == "200 OK"
    assert first == told.post("/sessions", "")[1] == f"revision={stated_revision(0)}\n"
    EndedSessions(told.expiring).changed()
    second = told.post("/sessions", "")[1]
    monkeypatch.setattr(known_sessions, "_THIS_GATEWAY", "another")
    assert len({first, second, told.post("/sessions", "")[1]}) == 3


def test_without_an_answer_of_redis_no_revision_is_stated_and_one_question_waits_for_it(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, answers = threading.Event(), threading.Event()

    def hang(_ended: EndedSessions) -> int:
        waits.set()
        answers.wait(20)
        raise StoreUnavailable("Redis")

    monkeypatch.setattr(EndedSessions, "revision", hang)
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(told.post, "/sessions", "")
        waits.wait(20)
        assert told.post("/sessions", "") == ("200 OK", "unknown\n")
        answers.set()
        assert first.result(20) == ("200 OK", "unknown\n")


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
