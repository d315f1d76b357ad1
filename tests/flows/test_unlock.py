"""Unlocking without a new password."""

from dataclasses import replace

import pytest

from flows.abuse.throttle import Throttle
from flows.errors import (
    AttemptExpired,
    NotPossible,
    NotUnlocked,
    OutcomeIsUnknown,
    TooManyAttempts,
    Unavailable,
    WorkNotDone,
    WrongCode,
    WrongStage,
)
from flows.recovery.attempt import Locks, Stage
from idp_plugin.errors import IdpUnavailable, NotPermitted, OutcomeUnknown
from store.audit import AuditAction
from store.errors import StoreUnavailable
from tests.flows.world import LIMITS, World, policy, private

NEW = "correct horse battery"


@pytest.fixture
def locked(world: World) -> World:
    """Carol is locked by the directory; her password is the one that she knows."""
    world.a_person("carol", registered=("email",), locked=True)
    return world


def actions(world: World, reference: str) -> set[AuditAction]:
    with world.database.reading() as transaction:
        return {event.action for event in transaction.audit.find(reference=reference)}


def test_a_locked_account_is_opened_and_keeps_its_password(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    assert attempt.stage is Stage.UNLOCK
    assert locked.unlock(attempt) == Locks("ended", "none")
    assert not locked.directory.people["carol"].locked
    assert locked.directory.written == []
    assert locked.read(attempt).stage is Stage.DONE


def test_both_locks_end_together(locked: World) -> None:
    locked.directory.stopped.add("sub-carol")
    assert locked.unlock(locked.proved("carol", purpose="unlock")) == Locks("ended", "ended")
    assert locked.directory.stopped == set()


def test_a_provider_without_locks_is_not_spoken_of(make_world) -> None:
    world = make_world(provider_locks=False)
    world.a_person("carol", registered=("email",), locked=True)
    assert world.unlock(world.proved("carol", purpose="unlock")) == Locks("ended", None)


def test_a_lock_is_ended_so_often_a_day_and_no_more(make_world) -> None:
    world = make_world(limits=LIMITS.model_copy(update={"unlocks_per_day": 2, "code_messages_per_hour": 50}))
    world.a_person("bob", registered=("email",))
    for _ in range(2):
        world.directory.change("bob", locked=True)
        world.unlock(world.proved("bob", purpose="unlock"))
        world.clock.forward(minutes=2)
    world.directory.change("bob", locked=True)
    attempt = world.proved("bob", purpose="unlock")
    with pytest.raises(TooManyAttempts):
        world.unlock(attempt)
    assert world.directory.people["bob"].locked
    assert world.read(attempt).stage is Stage.UNLOCK
    assert world.audited(AuditAction.UNLOCK_LIMIT_REACHED)[0].detail == {"limit": "unlocks"}
    Throttle(world.counters, world.limits).clear((), {world.person_id("bob")}, ())
    world.unlock(attempt)
    assert not world.directory.people["bob"].locked


def test_what_is_not_locked_changes_nothing(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob", purpose="unlock")
    sent = len(world.outbox.messages)
    assert world.unlock(attempt) == Locks("none", "none")
    world.drain()
    assert len(world.outbox.messages) == sent
    assert AuditAction.UNLOCK_ACCOUNT_NOT_LOCKED in actions(world, attempt.reference)
    with world.database.reading() as transaction:
        assert transaction.people.get(world.person_id("bob")).epoch == attempt.epoch


def test_every_address_is_told(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    locked.unlock(attempt)
    locked.drain()
    for address in ("carol@example.org", private("carol")):
        told = locked.outbox.to(address)[-1]
        assert "was unlocked" in told.text
        assert "/not-me/" in told.text
        assert attempt.reference in told.text


def test_the_code_says_what_it_is_for(locked: World) -> None:
    locked.send(locked.start("carol", "unlock"))
    locked.drain()
    (message,) = locked.outbox.messages
    assert "unlocking your account" in message.text
    assert "new password" not in message.text


def test_the_audit_tells_the_story_under_one_reference(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    locked.unlock(attempt)
    locked.drain()
    assert actions(locked, attempt.reference) == {
        AuditAction.UNLOCK_ATTEMPT_STARTED,
        AuditAction.UNLOCK_CODE_SENT,
        AuditAction.UNLOCK_PROOF_GIVEN,
        AuditAction.UNLOCK_ACCOUNT_UNLOCKED,
        AuditAction.NOTICE_QUEUED,
        AuditAction.NOTICE_SENT,
    }
    (event,) = locked.audited(AuditAction.UNLOCK_ACCOUNT_UNLOCKED)
    assert (event.detail["directory"], event.detail["provider"]) == ("ended", "none")


def test_a_wrong_code_is_audited_as_the_unlocks(locked: World) -> None:
    attempt = locked.send(locked.start("carol", "unlock"))
    with pytest.raises(WrongCode):
        locked.verify(attempt, "000000")
    assert AuditAction.UNLOCK_PROOF_REFUSED in actions(locked, attempt.reference)


def test_an_attempt_to_unlock_never_sets_a_password(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    with pytest.raises(AttemptExpired):
        locked.set_password(attempt, NEW)
    reset = locked.recovery.reset
    with pytest.raises(WrongStage):
        reset.findings(attempt, NEW)
    with pytest.raises(WrongStage):
        reset._password_write.run(attempt, NEW, locked.now)
    assert locked.directory.written == []


def test_an_attempt_to_reset_never_unlocks(locked: World) -> None:
    attempt = locked.proved("carol")
    with pytest.raises(AttemptExpired):
        locked.unlock(attempt)
    with pytest.raises(WrongStage):
        locked.recovery.unlock._unlocking.run(attempt, locked.now)
    assert locked.directory.unlocked == []


@pytest.mark.parametrize(("purpose", "other"), [("reset", "unlock"), ("unlock", "reset")])
def test_no_step_of_one_purpose_takes_an_attempt_of_the_other(
    locked: World, purpose: str, other: str
) -> None:
    attempt = locked.send(locked.start("carol", purpose))
    code = locked.code_for("carol")
    journey, how = locked.journey(other), {"browser": "browser-a", "now": locked.now}
    for step in (
        lambda: journey.read(attempt.id, **how),
        lambda: journey.send(attempt.id, "email", address="192.0.2.7", **how),
        lambda: journey.verify(attempt.id, code, **how),
    ):
        with pytest.raises(AttemptExpired):
            step()
    assert locked.read(attempt).proofs == ()


def test_work_for_a_reset_starts_no_unlock(world: World) -> None:
    with pytest.raises(WorkNotDone):
        world.recovery.unlock.start(
            "carol", address="192.0.2.7", browser="browser-a", work=world.work(), now=world.now
        )


@pytest.mark.parametrize("name", ["nobody", "erin", "alice"])
def test_whoever_may_not_unlock_gets_a_decoy(world: World, name: str) -> None:
    world.a_person("erin", registered=("email",), privileged=True, locked=True)
    world.a_person("alice", locked=True)
    attempt = world.send(world.start(name, "unlock"))
    world.drain()
    assert world.read(attempt).is_decoy
    assert world.outbox.messages == []
    with pytest.raises(WrongCode):
        world.verify(attempt, "000000")
    with pytest.raises(WrongStage):
        world.unlock(attempt)


def test_each_purpose_has_a_switch_of_its_own(make_world) -> None:
    world = make_world(document=policy(more="unlock_allowed = false"))
    world.a_person("carol", registered=("email",), locked=True)
    assert not world.recovery.unlock.is_offered()
    assert world.recovery.reset.is_offered()
    attempt = world.start("carol", "unlock")
    world.drain()
    assert world.read(attempt).is_decoy
    assert attempt.kinds == ()
    assert world.proved("carol").stage is Stage.NEW_PASSWORD


def test_an_unlock_is_possible_where_a_reset_is_not(make_world) -> None:
    world = make_world(document=policy(more="reset_allowed = false"))
    world.a_person("carol", registered=("email",), locked=True)
    assert world.unlock(world.proved("carol", purpose="unlock")).directory == "ended"


def test_a_password_that_is_too_young_does_not_hinder(world: World) -> None:
    world.a_person("carol", registered=("email",), locked=True)
    world.directory.change("carol", may_change_password_after=world.clock().replace(year=2027))
    assert world.unlock(world.proved("carol", purpose="unlock")).directory == "ended"


@pytest.mark.parametrize(
    ("facts", "why"), [({"enabled": False}, "disabled"), ({"privileged": True}, "privileged")]
)
def test_what_changed_since_the_proofs_is_read_again(locked: World, facts: dict[str, bool], why: str) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    locked.directory.change("carol", **facts)
    with pytest.raises(NotPossible) as refused:
        locked.unlock(attempt)
    assert refused.value.why == why
    assert locked.directory.unlocked == []
    assert locked.read(attempt).stage is Stage.OVER
    assert AuditAction.UNLOCK_ATTEMPT_REFUSED in actions(locked, attempt.reference)


def test_what_an_administrator_closed_is_told_after_the_first_proof(locked: World) -> None:
    attempt = locked.start("carol", "unlock")
    locked.drain()
    locked.send(attempt)
    code = locked.code_for("carol")
    locked.directory.change("carol", enabled=False)
    with pytest.raises(NotPossible) as refused:
        locked.verify(attempt, code)
    assert refused.value.why == "disabled"


def test_a_writer_that_finds_it_closed_ends_no_lock_anywhere(locked: World) -> None:
    locked.directory.stopped.add("sub-carol")
    attempt = locked.proved("carol", purpose="unlock")
    locked.directory.refuse = NotPermitted("disabled")
    with pytest.raises(NotPossible):
        locked.unlock(attempt)
    assert locked.directory.stopped == {"sub-carol"}
    assert locked.read(attempt).stage is Stage.OVER


def test_a_right_that_we_lack_is_a_failure_and_the_attempt_stays(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    locked.directory.refuse = NotPermitted("unlock answered 50")
    with pytest.raises(NotUnlocked):
        locked.unlock(attempt)
    locked.directory.refuse = None
    assert locked.unlock(attempt).directory == "ended"
    assert AuditAction.UNLOCK_ACCOUNT_FAILED in actions(locked, attempt.reference)


def test_a_directory_that_is_down_leaves_the_attempt_open(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    locked.directory.refuse = IdpUnavailable("memory")
    with pytest.raises(Unavailable):
        locked.unlock(attempt)
    locked.directory.refuse = None
    assert locked.unlock(attempt).directory == "ended"


def test_a_database_that_is_down_leaves_the_attempt_open(locked: World, monkeypatch) -> None:
    attempt = locked.proved("carol", purpose="unlock")

    def down(*_: object, **__: object) -> bool:
        raise StoreUnavailable("database")

    with monkeypatch.context() as patched:
        patched.setattr("store.spent.Spent.spend", down)
        with pytest.raises(Unavailable):
            locked.unlock(attempt)
    assert locked.unlock(attempt).directory == "ended"


def test_a_lost_answer_is_unknown_and_everybody_is_told(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    locked.directory.refuse = OutcomeUnknown("memory")
    with pytest.raises(OutcomeIsUnknown):
        locked.unlock(attempt)
    locked.drain()
    assert locked.read(attempt).outcome == "unknown"
    assert "may have been unlocked" in locked.outbox.to("carol@example.org")[-1].text
    assert AuditAction.UNLOCK_OUTCOME_UNKNOWN in actions(locked, attempt.reference)


def test_a_provider_that_does_not_answer_is_asked_again_by_the_queue(locked: World) -> None:
    locked.directory.stopped.add("sub-carol")
    attempt = locked.proved("carol", purpose="unlock")
    locked.directory.refuse_clearing = IdpUnavailable("memory")
    assert locked.unlock(attempt) == Locks("ended", "unknown")
    locked.directory.refuse_clearing = None
    locked.drain()
    assert locked.directory.stopped == set()


def test_an_unlock_voids_what_was_proved_before(locked: World) -> None:
    older = locked.proved("carol", browser="browser-b")
    locked.clock.forward(minutes=1)
    locked.unlock(locked.proved("carol", purpose="unlock"))
    with pytest.raises(AttemptExpired):
        locked.set_password(older, NEW, browser="browser-b")


def test_a_stricter_policy_asks_for_one_more_proof(make_world, monkeypatch) -> None:
    world = make_world(document=policy(register=2))
    world.a_person("carol", registered=("email", "totp"), locked=True)
    attempt = world.proved("carol", purpose="unlock")
    rule = world.gate.current_policy().rules[0]
    stricter = world.gate.current_policy().model_copy(
        update={"rules": (rule.model_copy(update={"reset": 2}),)}
    )
    monkeypatch.setattr(world.recovery.unlock._unlocking._eligibility, "_policies", lambda: stricter)
    with pytest.raises(WrongStage):
        world.unlock(attempt)
    assert world.directory.unlocked == []
    world.send(attempt, "totp")
    world.verify(attempt, world.app_code("carol"))
    assert world.unlock(attempt).directory == "ended"


def test_whatever_breaks_afterwards_the_account_is_unlocked(locked: World, monkeypatch) -> None:
    attempt = locked.proved("carol", purpose="unlock")

    def broken(*_: object) -> int:
        raise RuntimeError

    monkeypatch.setattr(locked.jobs, "enqueue", broken)
    assert locked.unlock(attempt) == Locks("ended", "none")
    assert locked.read(attempt).stage is Stage.DONE


def test_a_stage_follows_from_the_purpose(locked: World) -> None:
    attempt = locked.proved("carol", purpose="unlock")
    assert replace(attempt, purpose="reset").stage is Stage.NEW_PASSWORD


def test_an_unlock_gives_no_new_guesses_of_what_a_reset_asks(world: World) -> None:
    world.a_person("bob", registered=("email", "totp"), locked=True)
    for _ in range(4):
        attempt = world.start("bob", browser="thief")
        world.drain()
        world.send(attempt, "totp", browser="thief")
        with pytest.raises(WrongCode):
            world.verify(attempt, "000000", browser="thief")
    world.unlock(world.proved("bob", purpose="unlock", browser="thief"), browser="thief")
    attempt = world.start("bob", browser="thief")
    world.drain()
    world.send(attempt, "totp", browser="thief")
    with pytest.raises(WrongCode) as refused:
        world.verify(attempt, "000000", browser="thief")
    assert refused.value.attempts_left == 0
