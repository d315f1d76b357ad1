"""A directory behind real agents over a real Valkey, in front of a real slapd."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp_plugin.base import Convergence, Identity, Subject, TargetOutcome, TargetResult
from idp_plugin.errors import (
    IdpError,
    IdpMisconfigured,
    IdpUnavailable,
    NotPermitted,
    OutcomeUnknown,
    PasswordRefused,
    RefusalReason,
    WrongPassword,
)
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.writeback import agent
from idp_plugin.writeback.channel import ChannelDown
from tests.idp_plugin.writeback.arranged import DIRECTORY, ISSUER, Office, adapter, over_streams
from tests.servers.slapd import LONG_AGO, Slapd
from tests.servers.valkey import Valkey

NEW = "Quite-New-Passw0rd"
OLD = "Alice-Passw0rd"


@pytest.fixture
def office(tmp_path: Path, valkey: Valkey) -> Iterator[Office]:
    with over_streams(tmp_path, valkey.url) as office:
        yield office


def known(slapd: Slapd, name: str) -> Identity:
    identity = adapter(slapd).find(name)
    assert identity is not None
    return identity


def stored(valkey: Valkey) -> bytes:
    """Everything in the store, keys and values."""
    found = []
    for key in valkey.client.scan_iter():
        dump = valkey.client.xrange(key) if b"orders" in key else valkey.client.dump(key)
        found.append(key + repr(dump).encode())
    return b"\n".join(found)


class Dying(OpenLdap):
    """An adapter whose process dies at one of its steps."""

    dies_before = dies_after = False

    def set_password(self, account: Subject, new: str) -> Any:
        if self.dies_before:
            raise SystemExit
        super().set_password(account, new)
        if self.dies_after:
            raise SystemExit
        return ()


# As an adapter


def test_a_reset_goes_through_an_agent_to_the_directory(office: Office, slapd: Slapd) -> None:
    office.add(adapter(slapd))
    assert office.remote().set_password(known(slapd, "alice").account, NEW) == ()
    assert slapd.accepts("alice", NEW)
    assert not slapd.accepts("alice", OLD)


def test_at_how_many_servers_it_works_finds_its_way_back(office: Office, slapd: Slapd) -> None:
    slapd.change(slapd.people["alice"].dn, pwdChangedTime=LONG_AGO)
    office.add(OpenLdap(slapd.settings(replicas=(slapd.address,)), ISSUER))
    (result,) = office.remote().set_password(known(slapd, "alice").account, NEW)
    assert result == TargetResult(DIRECTORY, TargetOutcome.WRITTEN, Convergence(1, 1))


@pytest.mark.parametrize(
    "said",
    [
        "words",
        [{"target": "x"}],
        [{"target": "x", "outcome": "written", "convergence": {"works": 3, "asked": 2}}],
        [{"target": "x", "outcome": "written", "convergence": {"works": -1, "asked": 2}}],
        [{"target": "x", "outcome": "written", "convergence": {"works": 1, "asked": 10**30}}],
        [{"target": "x", "outcome": "refused", "convergence": None}],
    ],
)
def test_what_an_agent_says_beside_the_outcome_is_taken_or_left(
    office: Office, slapd: Slapd, said: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.add(adapter(slapd))
    monkeypatch.setattr(agent, "results_json", lambda _: said)
    assert office.remote().set_password(known(slapd, "alice").account, NEW) == ()


def test_a_change_needs_the_old_password(office: Office, slapd: Slapd) -> None:
    office.add(adapter(slapd))
    account = known(slapd, "alice").account
    with pytest.raises(WrongPassword):
        office.remote().change_password(account, "not hers", NEW)
    office.remote().change_password(account, OLD, NEW)
    assert slapd.accepts("alice", NEW)


def test_the_directorys_reasons_arrive(office: Office, slapd: Slapd) -> None:
    office.add(adapter(slapd))
    with pytest.raises(PasswordRefused) as refused:
        office.remote().set_password(known(slapd, "alice").account, "short")
    assert refused.value.reasons == (RefusalReason.TOO_SHORT,)
    assert slapd.accepts("alice", OLD)


def test_a_lock_is_ended_and_told_of(office: Office, slapd: Slapd) -> None:
    office.add(adapter(slapd))
    account = known(slapd, "alice").account
    slapd.change(slapd.people["alice"].dn, pwdAccountLockedTime=f"{dt.datetime.now(dt.UTC):%Y%m%d%H%M%SZ}")
    assert office.remote().unlock(account)
    assert not office.remote().unlock(account)
    assert slapd.accepts("alice", OLD)


def test_protected_people_and_strangers_are_refused_by_the_agent(office: Office, slapd: Slapd) -> None:
    office.add(adapter(slapd))
    remote = office.remote()
    with pytest.raises(NotPermitted, match="privileged"):
        remote.set_password(known(slapd, "erin").account, NEW)
    with pytest.raises(NotPermitted, match="missing"):
        remote.set_password(Subject(DIRECTORY, "00000000-0000-0000-0000-000000000000"), NEW)
    with pytest.raises(NotPermitted, match="missing"):
        remote.set_password(Subject("elsewhere", known(slapd, "alice").account.id), NEW)


def test_people_and_promises_are_what_the_adapter_says(office: Office, slapd: Slapd) -> None:
    office.add(adapter(slapd))
    remote, alice = office.remote(), known(slapd, "alice")
    assert remote.find("alice@example.org") == alice
    assert remote.find("nobody") is None
    assert remote.get(alice.subject) == alice
    assert remote.get(Subject("https://elsewhere", alice.subject.id)) is None
    assert remote.capabilities(alice.account) == adapter(slapd).capabilities(alice.account)
    with pytest.raises(IdpMisconfigured):
        remote.everyone()


def test_odd_letters_arrive_as_they_were_typed(office: Office, slapd: Slapd) -> None:
    office.add(adapter(slapd))
    odd = 'Pä$$,+"\\<>;=# 秘密-1'
    office.remote().set_password(known(slapd, "alice").account, odd)
    assert slapd.accepts("alice", odd)


# What is on the way


def test_nothing_in_the_store_tells_a_password_or_a_name(
    office: Office, slapd: Slapd, valkey: Valkey
) -> None:
    agent = office.add(adapter(slapd), start=False)
    account = known(slapd, "alice").account
    outcomes: list[object] = []
    remote = office.remote()
    calls: list[Callable[[], object]] = [
        lambda: remote.change_password(account, OLD, NEW),
        lambda: remote.find("alice@example.org"),
    ]
    threads = [threading.Thread(target=lambda call=call: outcomes.append(call())) for call in calls]
    for thread in threads:
        thread.start()
    wait_until(lambda: valkey.client.xlen("{sparekey:writeback:corp}:orders") == 2)
    seen = stored(valkey)
    agent.start()
    for thread in threads:
        thread.join(10)
    assert len(outcomes) == 2
    seen += stored(valkey)
    assert [word for word in (NEW, OLD, "alice", "example.org") if word.encode() in seen] == []


def test_nothing_sealed_remains(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    office.add(adapter(slapd))
    office.remote().set_password(known(slapd, "alice").account, NEW)
    assert b"ciphertext" not in stored(valkey)
    assert valkey.client.keys("*answer*") == []


# Faults


def test_without_an_agent_nothing_is_begun(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    with pytest.raises(IdpUnavailable) as unavailable:
        office.remote().set_password(known(slapd, "alice").account, NEW)
    assert type(unavailable.value) is IdpUnavailable
    assert not office.remote().is_reachable()
    assert valkey.client.keys("*orders*") == []


def test_what_nobody_began_in_time_is_never_begun(office: Office, slapd: Slapd) -> None:
    agent = office.add(adapter(slapd), start=False)
    with pytest.raises(IdpUnavailable) as unavailable:
        office.remote(seconds=0.5).set_password(known(slapd, "alice").account, NEW)
    assert type(unavailable.value) is IdpUnavailable
    agent.start()
    # The next order comes after anything that was still there.
    assert office.remote().find("alice") is not None
    assert slapd.accepts("alice", OLD)


def test_a_delivery_that_came_before_its_withdrawal_is_not_done(office: Office, slapd: Slapd) -> None:
    agent = office.add(adapter(slapd), start=False)
    account, outcome = known(slapd, "alice").account, list[BaseException]()
    thread = threading.Thread(
        target=lambda: outcome.append(failure(lambda: office.remote(seconds=1).set_password(account, NEW)))
    )
    thread.start()
    delivery = agent.channel.receive(dt.timedelta(seconds=5))
    thread.join(10)
    assert [type(each) for each in outcome] == [IdpUnavailable]
    assert delivery is not None
    agent.agent.work(delivery)
    assert slapd.accepts("alice", OLD)


def test_an_agent_that_dies_before_the_write_leaves_it_undone_and_open(office: Office, slapd: Slapd) -> None:
    """It was begun: whether the write is on its way somewhere, nobody can know."""
    dying = Dying(slapd.settings(), ISSUER)
    dying.dies_before = True
    first = office.add(dying, start=False)
    outcome = started(office, slapd, seconds=2)
    with pytest.raises(SystemExit):
        first.agent.step(dt.timedelta(seconds=5))
    office.add(adapter(slapd))
    assert isinstance(outcome(), OutcomeUnknown)
    assert slapd.accepts("alice", OLD)


def test_an_agent_that_dies_after_the_write_is_read_back_by_another(office: Office, slapd: Slapd) -> None:
    dying = Dying(slapd.settings(), ISSUER)
    dying.dies_after = True
    first = office.add(dying, start=False)
    second = office.add(adapter(slapd), start=False)
    outcome = started(office, slapd, seconds=8)
    with pytest.raises(SystemExit):
        first.agent.step(dt.timedelta(seconds=5))
    second.start()
    assert outcome() is None
    assert slapd.accepts("alice", NEW)


def test_an_agent_that_dies_with_an_order_unread_loses_nothing(office: Office, slapd: Slapd) -> None:
    first, second = office.add(adapter(slapd), start=False), office.add(adapter(slapd), start=False)
    outcome = started(office, slapd, seconds=8)
    assert first.channel.receive(dt.timedelta(seconds=5)) is not None
    second.start()
    assert outcome() is None
    assert slapd.accepts("alice", NEW)


def test_an_answer_that_was_lost_is_found_out(office: Office, slapd: Slapd, monkeypatch: Any) -> None:
    agent = office.add(adapter(slapd), start=False)
    outcome = started(office, slapd, seconds=3)
    with monkeypatch.context() as patched:

        def lost(*_: object) -> None:
            raise ChannelDown

        patched.setattr(agent.channel, "answer", lost)
        with pytest.raises(ChannelDown):
            agent.agent.step(dt.timedelta(seconds=5))
    agent.start()
    assert outcome() is None
    assert slapd.accepts("alice", NEW)


def test_a_refusal_whose_answer_was_lost_is_still_a_refusal(
    office: Office, slapd: Slapd, monkeypatch: Any
) -> None:
    agent = office.add(adapter(slapd), start=False)
    outcome = started(office, slapd, seconds=3, new="short")
    with monkeypatch.context() as patched:

        def lost(*_: object) -> None:
            raise ChannelDown

        patched.setattr(agent.channel, "answer", lost)
        with pytest.raises(ChannelDown):
            agent.agent.step(dt.timedelta(seconds=5))
    agent.start()
    assert isinstance(outcome(), PasswordRefused)


def test_a_directory_that_is_dead_changes_nothing_and_says_so(office: Office, slapd: Slapd) -> None:
    office.add(OpenLdap(slapd.settings(seconds=1), ISSUER))
    account = known(slapd, "alice").account
    slapd.stop()
    with pytest.raises(IdpUnavailable) as unavailable:
        office.remote().set_password(account, NEW)
    assert type(unavailable.value) is IdpUnavailable
    slapd.restart()
    assert slapd.accepts("alice", OLD)


def test_a_directory_that_froze_is_waited_for(office: Office, slapd: Slapd) -> None:
    office.add(OpenLdap(slapd.settings(seconds=1), ISSUER))
    account = known(slapd, "alice").account
    slapd.freeze()
    timer = threading.Timer(0.5, slapd.thaw)
    timer.start()
    office.remote().set_password(account, NEW)
    timer.join()
    assert slapd.accepts("alice", NEW)


def test_an_agents_wrong_clock_costs_nothing_but_its_help(office: Office, slapd: Slapd) -> None:
    for minutes in (5, -5):
        wrong = dt.timedelta(minutes=minutes)
        office.add(adapter(slapd), clock=lambda wrong=wrong: dt.datetime.now(dt.UTC) + wrong)
    statuses = [(each.status.value, each.problems) for each in office.roster.agents()]
    assert statuses == [("not_configured", ("clock",))] * 2
    with pytest.raises(IdpUnavailable) as unavailable:
        office.remote().set_password(known(slapd, "alice").account, NEW)
    assert type(unavailable.value) is IdpUnavailable
    office.add(adapter(slapd))
    office.remote(seconds=25).set_password(known(slapd, "alice").account, NEW)
    assert slapd.accepts("alice", NEW)


def test_two_resets_of_one_person_at_once_leave_one_of_both(office: Office, slapd: Slapd) -> None:
    for _ in range(2):
        office.add(adapter(slapd))
    candidates = [f"{NEW}-{number}" for number in range(4)]
    outcomes = [started(office, slapd, seconds=10, new=new) for new in candidates]
    ended = [type(outcome()) for outcome in outcomes]
    # slapd refuses a write that another one overtook; then nothing was changed, and it may be tried again.
    assert set(ended) <= {type(None), IdpUnavailable}
    written = [new for new, end in zip(candidates, ended, strict=True) if end is type(None)]
    assert [new for new in candidates if slapd.accepts("alice", new)] in [[new] for new in written]


def started(office: Office, slapd: Slapd, *, seconds: float, new: str = NEW) -> Callable[[], object]:
    """Begin a reset of alice in a thread; return what waits for its end: None, or what it raised."""
    account, outcome = known(slapd, "alice").account, list[object]()

    def reset() -> None:
        try:
            office.remote(seconds).set_password(account, new)
        except IdpError as error:
            outcome.append(error)
        else:
            outcome.append(None)

    thread = threading.Thread(target=reset)
    thread.start()

    def wait() -> object:
        thread.join(30)
        return outcome[0]

    return wait


def failure(call: Callable[[], object]) -> BaseException:
    with pytest.raises(IdpError) as raised:
        call()
    return raised.value


def wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
