"""A target that was away gets the new password later, on two real slapd servers."""

import datetime as dt
import logging
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flows.errors import OutcomeIsUnknown, PasswordNotWritten, Unavailable, WeakPassword
from flows.help.assembly import assemble_help
from flows.passwords.settings import PasswordsSettings
from flows.recovery.late_passwords import LatePasswords
from idp_plugin.base import Identity, Subject, TargetOutcome
from idp_plugin.errors import IdpUnavailable, NotPermitted, OutcomeUnknown, PasswordRefused, RefusalReason
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.targets import Target, Targets
from store.audit import AuditAction
from tests.flows.test_reset_slapd import register
from tests.flows.world import ISSUER, MemoryDirectory, World, private
from tests.servers.slapd import GROUPS, POLICY_DN, Slapd

NEW, NEWER, OLD = "Correct-Horse-Battery-9", "Staple-Gallops-Away-7", "Bob-Passw0rd"
W, LATER, UNKNOWN = TargetOutcome.WRITTEN, TargetOutcome.LATER, TargetOutcome.UNKNOWN


class Both(MemoryDirectory):
    """People at home, passwords in two servers, sessions in memory."""

    def __init__(self, home: Slapd, other: Slapd) -> None:
        super().__init__()
        self.home = OpenLdap(home.settings(seconds=2), ISSUER)
        self.second = OpenLdap(other.settings(name="second", seconds=2), ISSUER)
        places = [Target("corp", self.home), Target("second", self.second, required=False)]
        self._targets = Targets(places, home="corp", username=self._username)
        self.before_late: Any = lambda: None

    def _username(self, account: Subject) -> str:
        person = self.home.get(Subject(ISSUER, account.id))
        if person is None:
            raise NotPermitted("missing")
        return person.username

    def find(self, identifier: str) -> Identity | None:
        return self.home.find(identifier)

    def get(self, subject: Subject) -> Identity | None:
        return self.home.get(subject)

    def capabilities(self, account: Subject) -> Any:
        return self._targets.capabilities(account)

    def set_password(self, account: Subject, new: str) -> Any:
        return self._targets.set_password(account, new)

    def require_change(self, account: Subject) -> None:
        self._targets.require_change(account)

    def late_targets(self, account: Subject) -> frozenset[str]:
        return self._targets.late_targets(account)

    def set_late(self, account: Subject, target: str, new: str) -> None:
        self.before_late()
        self._targets.set_late(account, target, new)


@pytest.fixture
def home(slapd: Slapd) -> Slapd:
    return slapd


@pytest.fixture
def other(tmp_path: Path, slapd: Slapd) -> Iterator[Slapd]:
    with Slapd(tmp_path / "other", certificates=slapd.certificates) as server:
        yield server


@pytest.fixture
def world(make_world, home: Slapd, other: Slapd) -> World:
    world = make_world(directory=Both(home, other))
    world.clock.now = dt.datetime.now(dt.UTC)
    register(world, "bob")
    return world


def proved(world: World) -> Any:
    # No code is sent again within a minute.
    world.clock.forward(seconds=61)
    return world.proved("bob")


def reset(world: World, new: str = NEW) -> Any:
    return world.set_password(proved(world), new)


def reset_while_away(world: World, other: Slapd) -> Any:
    attempt = proved(world)
    other.stop()
    finished = world.set_password(attempt, NEW)
    other.restart()
    return finished


def states(world: World) -> dict[str, str]:
    with world.database.reading() as transaction:
        return {each.target: each.state for each in transaction.target_states.of(person_id(world))}


def person_id(world: World) -> str:
    subject = world.directory.find("bob").subject
    with world.database.reading() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
    assert person
    return person.id


def account(world: World) -> Subject:
    return world.directory.find("bob").account


def nothing_is_kept(world: World) -> bool:
    names = [
        name for kind in ("late_password", "late_write") for name in world.expiring.client.keys(f"*{kind}")
    ]
    return not names


def test_a_target_that_was_away_gets_the_password_later(world: World, home: Slapd, other: Slapd) -> None:
    finished = reset_while_away(world, other)
    assert [(each.target, each.outcome) for each in finished.targets] == [("corp", W), ("second", LATER)]
    assert states(world) == {"corp": "written", "second": "later"}
    world.drain_later()
    assert home.accepts("bob", NEW)
    assert other.accepts("bob", NEW)
    assert states(world) == {"corp": "written", "second": "written"}
    (event,) = world.audited(AuditAction.TARGET_WRITTEN_LATE)
    assert event.detail["target"] == "second"


def test_nothing_sealed_remains_once_it_is_written(world: World, other: Slapd) -> None:
    reset_while_away(world, other)
    assert not nothing_is_kept(world)
    world.drain_later()
    assert nothing_is_kept(world)
    assert world.jobs.pending() == 0


def test_it_is_tried_again_and_again_while_the_target_is_away(world: World, other: Slapd) -> None:
    other.stop()
    reset(world)
    waits = (15, 30, 60, 120)
    for wait in waits:
        world.clock.forward(seconds=wait)
        world.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=wait))
    other.restart()
    world.clock.forward(seconds=240)
    world.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=240))
    assert other.accepts("bob", NEW)
    (event,) = world.audited(AuditAction.TARGET_WRITTEN_LATE)
    assert event.detail["tries"] == len(waits) + 1


def test_what_stays_away_is_given_up_and_its_owner_is_told(world: World, other: Slapd) -> None:
    other.stop()
    reset(world)
    world.drain()
    world.outbox.messages.clear()
    world.clock.forward(minutes=31)
    world.drain_later()
    (event,) = world.audited(AuditAction.TARGET_GIVEN_UP)
    assert (event.detail["target"], event.detail["outcome"], event.detail["why"]) == (
        "second",
        "failed",
        "expired",
    )
    assert states(world)["second"] == "failed"
    (told,) = world.outbox.to(private("bob"))
    assert "does not work yet at: second" in told.text.replace("\n", " ")
    assert NEW not in told.text
    assert nothing_is_kept(world)


def test_the_password_is_kept_for_the_minutes_of_the_settings_by_the_servers_own_clock(
    make_world, home: Slapd, other: Slapd
) -> None:
    world = make_world(directory=Both(home, other), passwords=PasswordsSettings(late_minutes=2))
    world.clock.now = dt.datetime.now(dt.UTC)
    register(world, "bob")
    other.stop()
    reset(world)
    (name,) = world.expiring.client.keys("*late_password")
    assert 0 < world.expiring.client.pttl(name) <= 120_000


def test_with_no_minutes_nothing_is_kept(make_world, home: Slapd, other: Slapd) -> None:
    world = make_world(directory=Both(home, other), passwords=PasswordsSettings(late_minutes=0))
    world.clock.now = dt.datetime.now(dt.UTC)
    register(world, "bob")
    other.stop()
    assert reset(world).targets[1].outcome is TargetOutcome.FAILED
    assert nothing_is_kept(world)


def test_the_password_is_nowhere_in_clear(
    world: World, other: Slapd, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    other.stop()
    reset(world)
    world.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=15))
    kept = [world.expiring.client.dump(name) or b"" for name in world.expiring.client.keys("*")]
    assert len(kept) > 3
    assert NEW.encode() not in b"".join(kept)
    assert NEW not in caplog.text + "".join(capfd.readouterr())
    files = [file.read_bytes() for file in tmp_path.glob("sparekey.db*")]
    assert NEW.encode() not in b"".join(files)


def test_the_password_is_sealed_a_second_time_under_its_own_name(world: World, other: Slapd) -> None:
    other.stop()
    reset(world)
    late = LatePasswords(world.expiring)
    (name,) = world.expiring.client.keys("*late_password")
    key = '["{0.source}", "{0.id}"]'.format(account(world))
    inside = world.expiring.peek("late_password", key)
    assert inside
    assert NEW.encode() not in inside
    assert late.password(account(world), late.read(account(world))) == NEW
    assert name


def test_a_newer_password_wins_over_one_that_waits(world: World, home: Slapd, other: Slapd) -> None:
    reset_while_away(world, other)
    assert [each.outcome for each in reset(world, NEWER).targets] == [W, W]
    assert nothing_is_kept(world)
    world.drain_later()
    assert home.accepts("bob", NEWER)
    assert other.accepts("bob", NEWER)
    assert world.audited(AuditAction.TARGET_WRITTEN_LATE) == ()


def temporary(world: World) -> Any:
    helping = assemble_help(world.ground, world.recovery.eligibility, world.recovery.late_writes)
    return helping.administrator_reset.temporary("bob", author="frank", now=world.now)


def test_an_administrators_temporary_password_wins_over_one_that_waits(
    world: World, home: Slapd, other: Slapd
) -> None:
    reset_while_away(world, other)
    done = temporary(world)
    world.drain_later()
    for server in (home, other):
        assert server.accepts("bob", done.password)
        assert not server.accepts("bob", NEW)
    assert nothing_is_kept(world)


def test_a_temporary_password_that_was_refused_leaves_the_one_that_waits(
    world: World, home: Slapd, other: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    reset_while_away(world, other)

    def refuse(*_: object) -> None:
        raise PasswordRefused((RefusalReason.OTHER,))

    with monkeypatch.context() as patched:
        patched.setattr(Targets, "set_password", refuse)
        with pytest.raises(PasswordNotWritten):
            temporary(world)
    world.drain_later()
    assert home.accepts("bob", NEW)
    assert other.accepts("bob", NEW)


def test_no_temporary_password_is_kept_for_a_target_that_went_away_meanwhile(
    world: World, other: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Targets.set_password

    def stop_and_write(*given: Any) -> Any:
        other.stop()
        return write(*given)

    monkeypatch.setattr(Targets, "set_password", stop_and_write)
    with pytest.raises(OutcomeIsUnknown):
        temporary(world)
    other.restart()
    world.drain_later()
    assert other.accepts("bob", OLD)


def test_a_newer_password_that_waits_too_is_the_one_that_arrives(world: World, other: Slapd) -> None:
    older = proved(world)
    other.stop()
    world.set_password(older, NEW)
    reset(world, NEWER)
    other.restart()
    world.drain_later()
    assert other.accepts("bob", NEWER)
    assert len(world.audited(AuditAction.TARGET_WRITTEN_LATE)) == 1


def test_a_newer_password_waits_for_an_older_one_that_is_being_written(
    world: World, home: Slapd, other: Slapd
) -> None:
    reset_while_away(world, other)
    newer = proved(world)
    running, may_go_on = threading.Event(), threading.Event()

    def held_up() -> None:
        running.set()
        assert may_go_on.wait(10)

    world.directory.before_late = held_up
    job = threading.Thread(target=world.drain_later)
    job.start()
    assert running.wait(10)
    person = threading.Thread(target=world.set_password, args=(newer, NEWER))
    person.start()
    person.join(2)
    assert person.is_alive()
    may_go_on.set()
    person.join(10)
    job.join(10)
    assert home.accepts("bob", NEWER)
    assert other.accepts("bob", NEWER)


def test_while_a_newer_password_is_written_the_older_one_is_out_of_reach(world: World, other: Slapd) -> None:
    reset_while_away(world, other)
    seen: list[bool] = []
    write = world.directory._targets.set_password

    def looking(account: Subject, new: str) -> Any:
        seen.append(nothing_is_kept(world))
        return write(account, new)

    world.directory.set_password = looking
    reset(world, NEWER)
    assert seen == [True]


def test_a_newer_password_that_was_refused_leaves_the_older_one_waiting(
    world: World, home: Slapd, other: Slapd
) -> None:
    reset_while_away(world, other)
    with pytest.raises(WeakPassword):
        reset(world, OLD)
    assert home.accepts("bob", NEW)
    world.drain_later()
    assert other.accepts("bob", NEW)


def test_a_frozen_person_s_password_goes_nowhere(world: World, other: Slapd) -> None:
    reset_while_away(world, other)
    with world.database.transaction() as transaction:
        transaction.people.freeze(person_id(world), now=world.now)
    world.drain_later()
    assert other.accepts("bob", OLD)
    assert nothing_is_kept(world)
    (event,) = world.audited(AuditAction.TARGET_GIVEN_UP)
    assert event.detail["why"] == "frozen"


@pytest.mark.parametrize("place", ["home", "other"])
def test_somebody_who_became_powerful_is_not_written_for(
    world: World, home: Slapd, other: Slapd, place: str
) -> None:
    reset_while_away(world, other)
    server = home if place == "home" else other
    server.change(f"cn=administrators,{GROUPS}", member=[server.people["bob"].dn])
    world.drain_later()
    assert other.accepts("bob", OLD)
    assert nothing_is_kept(world)
    assert states(world)["second"] == "refused"


def test_a_target_that_refuses_ends_it_and_is_told(world: World, other: Slapd) -> None:
    reset_while_away(world, other)
    world.drain()
    world.outbox.messages.clear()
    other.change(POLICY_DN, pwdMinLength="40")
    world.drain_later()
    assert other.accepts("bob", OLD)
    assert states(world)["second"] == "refused"
    assert len(world.outbox.to(private("bob"))) == 1
    assert nothing_is_kept(world)


def test_a_worker_that_dies_in_the_middle_leaves_the_next_try(world: World, other: Slapd) -> None:
    reset_while_away(world, other)

    def die() -> None:
        raise KeyboardInterrupt

    world.directory.before_late = die
    # The queue's worker ends such a job and keeps nothing of it.
    world.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=16))
    assert other.accepts("bob", OLD)
    world.directory.before_late = lambda: None
    world.drain_later()
    assert other.accepts("bob", NEW)
    assert nothing_is_kept(world)


def test_a_history_that_knows_it_after_a_lost_answer_is_no_refusal(world: World, other: Slapd) -> None:
    other.stop()
    reset(world)
    errors = [OutcomeUnknown("second"), PasswordRefused((RefusalReason.IN_HISTORY,))]

    def fail() -> None:
        raise errors.pop(0)

    world.directory.before_late = fail
    world.drain_later()
    assert not errors
    assert states(world)["second"] == "unknown"


def test_one_target_that_is_required_is_never_tried_again(world: World) -> None:
    with pytest.raises(NotPermitted):
        world.directory.set_late(account(world), "corp", NEW)


def test_while_another_write_never_ends_nothing_is_changed(
    world: World, home: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.recovery.late_writes._TURN_WAIT", dt.timedelta(0))
    assert LatePasswords(world.expiring).take_turn(account(world))
    with pytest.raises(Unavailable) as caught:
        reset(world)
    assert isinstance(caught.value.__cause__, IdpUnavailable)
    assert home.accepts("bob", OLD)


def test_a_turn_that_is_over_is_not_ended_for_the_next(world: World) -> None:
    late = LatePasswords(world.expiring)
    first = late.take_turn(account(world))
    assert first
    world.expiring.drop("password_turn", '["{0.source}", "{0.id}"]'.format(account(world)))
    with closing(world.expiring):
        second = late.take_turn(account(world))
        late.end_turn(account(world), first)
        assert second
        assert late.has_turn(account(world), second)
