"""Outages: the policy's answer, only while the breaker itself sees one (S10, S12)."""

import contextlib
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway.interception.sign_in_metrics import GATE_FAULTS, SIGN_INS
from idp_plugin.demo.provider import SESSION_COOKIE
from store.audit import AuditAction
from store.valkey import EmbeddedValkey
from tests.gateway.interception.demo_world import Demo, demo_world
from tests.gateway.interception.interception_world import POLICY
from tests.servers.processes import free_port
from tests.servers.visitor import Visitor


@pytest.fixture
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path_factory.mktemp("v"))
    yield server
    server.stop()


@pytest.fixture
def releasing(tmp_path: Path, own_valkey: EmbeddedValkey) -> Iterator[Demo]:
    policy = POLICY + 'on_fault = "release"\n'
    with demo_world(tmp_path, own_valkey.start(), policy=policy) as started:
        yield started


@pytest.fixture
def denying(tmp_path: Path, own_valkey: EmbeddedValkey) -> Iterator[Demo]:
    policy = POLICY + 'on_fault = "deny"\n'
    with demo_world(tmp_path, own_valkey.start(), policy=policy) as started:
        yield started


def break_look_ups(demo: Demo) -> None:
    """Make every look-up of the gate fail."""
    with sqlite3.connect(demo.world.database._engine.url.database or "") as connection:
        connection.execute("ALTER TABLE authenticators RENAME TO lost")
    connection.close()


@contextlib.contextmanager
def frozen(valkey: EmbeddedValkey) -> Iterator[None]:
    """Let the server take connections and answer nothing."""
    assert valkey._process
    valkey._process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        valkey._process.send_signal(signal.SIGCONT)


def faults() -> float:
    """How many sign-ins met a fault so far."""
    return sum(float(GATE_FAULTS.labels(answer)._value.get()) for answer in ("release", "deny"))


def is_handed_on(demo: Demo, answer: httpx.Response) -> bool:
    return "code=" in answer.headers.get("location", "")


def audited(demo: Demo, action: AuditAction) -> int:
    with demo.world.database.reading() as transaction:
        return len(transaction.audit.find(action=action))


def test_an_outage_releases_where_the_policy_says_so(releasing: Demo, own_valkey: EmbeddedValkey) -> None:
    before = GATE_FAULTS.labels("release")._value.get()
    own_valkey.stop()
    assert is_handed_on(releasing, releasing.sign_in(Visitor(), "alice"))
    assert GATE_FAULTS.labels("release")._value.get() == before + 1
    assert audited(releasing, AuditAction.SIGN_IN_GATE_FAULT_RELEASED) == 1


def test_an_outage_denies_where_the_policy_says_so(denying: Demo, own_valkey: EmbeddedValkey) -> None:
    own_valkey.stop()
    answer = denying.sign_in(Visitor(), "alice")
    assert answer.status_code == 503
    assert not is_handed_on(denying, answer)
    assert audited(denying, AuditAction.SIGN_IN_GATE_FAULT_DENIED) == 1


def test_once_the_store_is_back_everybody_is_asked_about_again(
    releasing: Demo, own_valkey: EmbeddedValkey
) -> None:
    visitor, covered = Visitor(), Visitor()
    own_valkey.stop()
    assert is_handed_on(releasing, releasing.sign_in(visitor, "alice"))
    own_valkey.start()
    # The same person in the same session: what an outage let go is no precedent.
    releasing.world.held(releasing.to_sign_in(visitor))
    releasing.world.register(releasing.subject("bob"))
    assert is_handed_on(releasing, releasing.sign_in(covered, "bob"))


def test_a_store_that_is_slow_delays_and_changes_nothing(releasing: Demo, own_valkey: EmbeddedValkey) -> None:
    visitor, before = Visitor(), faults()
    releasing.sign_in(visitor, "alice")
    with ThreadPoolExecutor(1) as asking:
        with frozen(own_valkey):
            answer = asking.submit(releasing.to_sign_in, visitor)
            with pytest.raises(TimeoutError):
                answer.result(0.5)
        releasing.world.held(answer.result(20))
    assert faults() == before


def test_a_store_too_slow_to_wait_for_is_an_outage(denying: Demo, own_valkey: EmbeddedValkey) -> None:
    visitor, covered, before = Visitor(), Visitor(), faults()
    denying.world.register(denying.subject("bob"))
    assert is_handed_on(denying, denying.sign_in(covered, "bob"))
    with frozen(own_valkey):
        assert denying.sign_in(visitor, "alice").status_code == 503
        # The gate looks people up elsewhere, so whoever is covered does not notice.
        assert is_handed_on(denying, denying.to_sign_in(covered))
    assert faults() == before + 1
    denying.world.held(denying.sign_in(visitor, "alice"))


def test_a_fault_that_only_this_request_meets_never_releases(releasing: Demo) -> None:
    visitor = Visitor()
    releasing.world.held(releasing.sign_in(visitor, "alice"))
    valkey = releasing.world.expiring.client
    for counter in valkey.keys("sk:{counters}:*"):
        valkey.set(counter, "not a counter")
    answer = releasing.to_sign_in(visitor)
    assert answer.status_code == 503
    assert not is_handed_on(releasing, answer)


def test_a_covered_session_passes_an_outage(denying: Demo, own_valkey: EmbeddedValkey) -> None:
    visitor = Visitor()
    denying.world.register(denying.subject("alice"))
    assert is_handed_on(denying, denying.sign_in(visitor, "alice"))
    break_look_ups(denying)
    own_valkey.stop()
    assert is_handed_on(denying, denying.to_sign_in(visitor))


def test_anothers_claim_does_not_pass_an_outage(denying: Demo, own_valkey: EmbeddedValkey) -> None:
    visitor, other = Visitor(), Visitor()
    denying.world.register(denying.subject("alice"))
    denying.sign_in(visitor, "alice")
    for key, value in visitor.cookies.items():
        if key[2] == "sparekey-satisfied":
            other.cookies[key] = value
    break_look_ups(denying)
    own_valkey.stop()
    assert denying.sign_in(other, "bob").status_code == 503


def test_a_claim_is_worth_nothing_without_an_outage(denying: Demo) -> None:
    visitor = Visitor()
    alice = denying.subject("alice")
    denying.world.register(alice)
    denying.sign_in(visitor, "alice")
    denying.world.unregister(alice)
    denying.world.held(denying.to_sign_in(visitor))


def test_an_outage_of_the_silent_check_is_a_fault_too(releasing: Demo) -> None:
    releasing.world.provider.address = f"http://127.0.0.1:{free_port()}"
    assert is_handed_on(releasing, releasing.sign_in(Visitor(), "alice"))


def test_a_silent_check_that_fails_for_one_person_only_never_releases(releasing: Demo) -> None:
    visitor = Visitor()
    before = SIGN_INS.labels("unrecognised")._value.get()
    releasing.sign_in(visitor, "alice")
    key = next(key for key in visitor.cookies if key[2] == SESSION_COOKIE)
    visitor.cookies[(key[0], "/", f"{SESSION_COOKIE}=x; {SESSION_COOKIE}")] = visitor.cookies[key]
    answer = releasing.to_sign_in(visitor)
    assert answer.status_code == 403
    assert SIGN_INS.labels("unrecognised")._value.get() == before + 1
