"""Holds on a real store: who opens them, what is delivered, and that it is delivered once."""

import datetime as dt
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from enforcement.current_policy import adopt
from enforcement.gate import Gate
from gateway.interception.authorization_request import SESSION_PARAMETER, read_request
from gateway.interception.hold import (
    HoldGone,
    Holds,
    KeptHold,
    Released,
    Replay,
    SomebodyElse,
    StartAgain,
    StillDue,
)
from gateway.interception.hold import application_of as shown
from gateway.interception.loop_guard import LoopGuard
from gateway.interception.parked import Parked
from gateway.interception.sign_in_audit import SignInAudit
from idp_plugin.base import AuthorizationAnswer, Exchange, SignIn, Subject
from store.audit import AuditAction
from store.counters import Counters
from store.database import Database
from store.expiring import Expiring
from store.vault import Vault
from tests.gateway.interception.interception_world import POLICY
from tests.servers.valkey import Valkey

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
ISSUER = "https://sso.example.org"
CODE = b"https://app.example.org/cb?code=topsecret&state=s"
SIGN_IN = SignIn(Subject(ISSUER, "alice-id"), "session-1", "app", groups=frozenset({"/staff"}), amr=("pwd",))
ANSWER = AuthorizationAnswer("https://app.example.org/cb", {"code": "topsecret", "state": "s"}, "query")
EXCHANGE = Exchange(
    b"POST",
    b"/login",
    ((b"Cookie", b"s=1"),),
    b"",
    302,
    ((b"Location", CODE), (b"Set-Cookie", b"s=2"), (b"X-Other", b"1")),
    b"",
)
PLAIN = "/auth?client_id=app&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb&state=s"


@dataclass
class Bench:
    holds: Holds
    database: Database
    expiring: Expiring

    def keep(self, more: str | None = "", sign_in: SignIn = SIGN_IN) -> KeptHold:
        request = None if more is None else read_request((PLAIN + more).encode())
        return self.holds.keep(sign_in, ANSWER, request, EXCHANGE, now=NOW)

    def cover(self) -> None:
        with self.database.transaction() as transaction:
            person = transaction.people.ensure(ISSUER, "alice-id", now=NOW)
            transaction.authenticators.add(
                person.id, "email", b"a@example.net", now=NOW, trusted_from=NOW, provenance="self"
            )

    def release(self, hold: KeptHold, *, after: float = 1, session_id: str = "session-1") -> Released:
        return self.holds.release(
            hold.id,
            hold.secret,
            issuer=ISSUER,
            subject="alice-id",
            session_id=session_id,
            now=NOW + dt.timedelta(seconds=after),
        )


@pytest.fixture
def bench(tmp_path: Path, valkey: Valkey) -> Iterator[Bench]:
    vault = Vault([secrets.token_bytes(32)])
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", vault)
    database.upgrade()
    adopt(database, POLICY, author="test", now=NOW)
    expiring = Expiring(valkey.url, vault)
    holds = Holds(
        expiring=expiring,
        vault=vault,
        gate=Gate(database),
        audit=SignInAudit(database),
        guard=LoopGuard(Counters(expiring)),
        public=ISSUER,
    )
    yield Bench(holds, database, expiring)
    expiring.close()
    database.dispose()


def test_what_is_held_reads_as_it_was_kept(bench: Bench) -> None:
    hold = bench.keep("&login_hint=x")
    held = bench.holds.read(hold.id, hold.secret)
    assert held.sign_in == SIGN_IN
    assert held.application == "https://app.example.org"
    assert held.held_at == NOW
    assert held.target == PLAIN + "&login_hint=x"


@pytest.mark.parametrize("secret", ["", "x", "x" * 43])
def test_only_the_hold_s_own_cookie_opens_it(bench: Bench, secret: str) -> None:
    bench.cover()
    hold = bench.keep()
    other = bench.keep()
    for wrong in (secret, other.secret):
        with pytest.raises(HoldGone):
            bench.holds.read(hold.id, wrong)
        with pytest.raises(HoldGone):
            bench.release(replace(hold, secret=wrong))
    assert isinstance(bench.release(hold), Replay)


def test_nothing_is_held_under_an_unknown_id(bench: Bench) -> None:
    for hold_id in ("", "x", "../hold", "a" * 5000):
        with pytest.raises(HoldGone):
            bench.holds.read(hold_id, "secret")


def test_a_gap_keeps_it_held_and_the_gate_is_asked_again(bench: Bench) -> None:
    hold = bench.keep()
    assert isinstance(bench.release(hold), StillDue)
    bench.cover()
    assert bench.release(hold) == Replay(ISSUER + PLAIN)


def test_another_session_of_the_same_person_does_not_get_it(bench: Bench) -> None:
    bench.cover()
    hold = bench.keep()
    assert isinstance(bench.release(hold, session_id="session-2"), SomebodyElse)
    assert isinstance(bench.release(hold, session_id=""), SomebodyElse)
    assert isinstance(bench.release(hold), Replay)


def test_of_many_at_once_one_is_given_the_answer(bench: Bench) -> None:
    bench.cover()
    hold = bench.keep("&prompt=login")
    given: list[Released] = []
    gone: list[int] = []

    def ask() -> None:
        try:
            given.append(bench.release(hold))
        except HoldGone:
            gone.append(1)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(given) == 1
    assert len(gone) == 7


@pytest.mark.parametrize(
    "more", ["&prompt=login", "&max_age=0", "&acr_values=gold", "&request_uri=urn:x", None]
)
def test_a_young_answer_is_delivered_as_it_was(bench: Bench, more: str | None) -> None:
    bench.cover()
    released = bench.release(bench.keep(more), after=54)
    assert isinstance(released, Parked)
    fields = dict(released.headers)
    assert released.status == 303
    assert fields[b"Location"] == CODE
    assert fields[b"Cache-Control"] == b"no-store"
    assert b"Set-Cookie" not in fields


def test_an_old_answer_is_never_delivered(bench: Bench) -> None:
    bench.cover()
    assert bench.release(bench.keep(None), after=55) == StartAgain("https://app.example.org")
    assert bench.release(bench.keep("&request_uri=urn:x"), after=56) == StartAgain("https://app.example.org")


def test_an_old_fresh_sign_in_is_rewritten_for_its_session(bench: Bench) -> None:
    bench.cover()
    released = bench.release(bench.keep("&prompt=login&max_age=0"), after=56)
    assert isinstance(released, Replay)
    address, _, mark = released.location.partition(f"&{SESSION_PARAMETER}=")
    assert address == ISSUER + PLAIN
    assert bench.holds.is_session_mark(mark, SIGN_IN)
    assert not bench.holds.is_session_mark(mark, replace(SIGN_IN, session_id="session-2"))


def test_without_a_session_id_nothing_is_rewritten(bench: Bench) -> None:
    bench.cover()
    hold = bench.keep("&prompt=login", replace(SIGN_IN, session_id=""))
    assert bench.release(hold, after=56, session_id="") == StartAgain("https://app.example.org")


def test_an_old_answer_with_assurance_is_asked_for_again_unchanged(bench: Bench) -> None:
    bench.cover()
    assert bench.release(bench.keep("&acr_values=gold"), after=56) == Replay(
        ISSUER + PLAIN + "&acr_values=gold"
    )


def test_the_parked_answer_opens_with_the_cookie_only(bench: Bench, valkey: Valkey) -> None:
    hold = bench.keep("&prompt=login")
    seen = b"".join(valkey.client.get(key) or b"" for key in valkey.client.keys("*"))
    assert b"topsecret" not in seen
    sealed = bench.expiring.peek("parked", hold.id)
    assert sealed
    assert b"topsecret" not in sealed
    assert b"topsecret" not in (bench.expiring.peek("hold", hold.id) or b"")
    assert hold.secret.encode() not in (bench.expiring.peek("hold", hold.id) or b"")


def test_a_parked_answer_of_another_hold_does_not_open(bench: Bench) -> None:
    bench.cover()
    hold, other = bench.keep("&request_uri=urn:x"), bench.keep("&request_uri=urn:x")
    foreign = bench.expiring.take("parked", other.id)
    assert foreign
    bench.expiring.put("parked", hold.id, foreign, ttl=dt.timedelta(seconds=50))
    assert isinstance(bench.release(hold), StartAgain)


def test_an_exact_replay_parks_nothing(bench: Bench) -> None:
    hold = bench.keep()
    assert bench.expiring.peek("parked", hold.id) is None


def test_an_unknown_application_meets_the_strictest_rule(bench: Bench) -> None:
    strict = """
[[rules]]
name = "payroll"
who = { everyone = true, clients = ["payroll"] }
kinds = ["email"]
register = 1
reset = 1

[[rules]]
name = "others"
who = { everyone = true }
required = false
kinds = ["email"]
register = 1
reset = 1
"""
    adopt(bench.database, strict, author="test", now=NOW)
    known, unknown = bench.keep(), bench.keep(None, replace(SIGN_IN, client_id=""))
    assert isinstance(bench.release(unknown), StillDue)
    assert isinstance(bench.release(known), Replay)


def test_releases_and_refusals_are_audited(bench: Bench) -> None:
    bench.cover()
    hold = bench.keep("&prompt=login")
    bench.release(hold, session_id="session-2")
    bench.release(hold)
    with bench.database.reading() as transaction:
        (refused,) = transaction.audit.find(action=AuditAction.SIGN_IN_HOLD_REFUSED)
        (released,) = transaction.audit.find(action=AuditAction.SIGN_IN_HOLD_RELEASED)
    assert refused.person_id == released.person_id
    assert dict(released.detail) == {"client": "app", "how": "parked"}


def test_secrets_show_in_no_repr(bench: Bench) -> None:
    bench.cover()
    hold = bench.keep("&prompt=login&login_hint=alice")
    texts = [repr(hold), repr(bench.holds.read(hold.id, hold.secret)), repr(bench.release(hold))]
    assert not any(word in text for text in texts for word in (hold.secret, "topsecret", "login_hint"))


@pytest.mark.parametrize(
    ("address", "application"),
    [
        ("https://app.example.org:8443/cb", "https://app.example.org:8443"),
        ("https://user:pw@app.example.org/cb", "https://app.example.org"),
        ("com.example.app:/cb", "com.example.app:"),
        ("javascript:alert(1)", "javascript:"),
        ("https://[bad/cb", ""),
        ("", ""),
    ],
)
def test_an_application_is_shown_by_its_origin(address: str, application: str) -> None:
    assert shown(address) == application


def test_a_hold_waits_ten_minutes_and_a_parked_answer_less(bench: Bench) -> None:
    bench.keep("&prompt=login")
    store = bench.expiring.client
    lives = sorted(store.ttl(key) for key in store.keys())  # noqa: SIM118 - a client, no mapping
    assert len(lives) == 2
    assert 0 < lives[0] <= 60
    assert 540 < lives[1] <= 600
