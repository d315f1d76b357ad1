"""Many at once: every claim is one atomic operation."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest

from flows.errors import AttemptExpired, CodeExpired, FlowError, WrongCode, WrongStage
from flows.records import Records
from flows.recovery.attempt import Attempt, Stage
from idp_plugin.base import Subject, TargetResult
from store.audit import AuditAction
from tests.flows.test_registration import MINE
from tests.flows.world import LIMITS, World, code_in, policy, wrong

MANY = 20
NEW = "correct horse battery"


@pytest.fixture(params=["sqlite", "postgresql"])
def lasting(request: pytest.FixtureRequest) -> str:
    """Both databases: what is claimed once must be claimed once on either."""
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def at_once(function: Callable[[int], Any], many: int = MANY) -> list[Any]:
    """Call a function many times at the same moment; returns results and refusals."""
    barrier = Barrier(many)

    def call(number: int) -> Any:
        barrier.wait()
        try:
            return function(number)
        except FlowError as error:
            return error

    with ThreadPoolExecutor(many) as pool:
        return list(pool.map(call, range(many)))


def test_one_right_code_given_many_times_at_once_is_one_proof(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    answers = at_once(lambda _: world.verify(attempt, code))
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1
    assert len(world.read(attempt).proofs) == 1
    assert world.read(attempt).wrong_answers == 0
    assert len(world.audited(AuditAction.RESET_PROOF_GIVEN)) == 1


def test_one_right_app_code_given_many_times_at_once_is_one_proof(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    attempt = world.start("carol")
    world.drain()
    world.send(attempt, "totp")
    code = world.app_code("carol")
    answers = at_once(lambda _: world.verify(attempt, code))
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1
    assert len(world.read(attempt).proofs) == 1


def test_one_app_code_in_many_attempts_at_once_is_one_proof(world: World) -> None:
    world.a_person("carol", registered=("totp",))
    attempts = [world.start("carol", browser=f"browser-{number}") for number in range(4)]
    world.drain()
    for number, attempt in enumerate(attempts):
        world.send(attempt, "totp", browser=f"browser-{number}")
    code = world.app_code("carol")
    answers = at_once(
        lambda number: world.verify(attempts[number], code, browser=f"browser-{number}"), many=4
    )
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1


def test_one_recovery_code_given_many_times_at_once_is_one_proof(world: World) -> None:
    world.a_person("carol", registered=("recovery_codes",))
    attempt = world.start("carol")
    world.drain()
    world.send(attempt, "recovery_codes")
    answers = at_once(lambda _: world.verify(attempt, world.codes["carol"][0]))
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1
    assert len(world.read(attempt).proofs) == 1
    assert [each.detail["left"] for each in world.audited(AuditAction.RECOVERY_CODE_USED)] == [9]


def test_every_recovery_code_at_once_is_used_exactly_once(make_world) -> None:
    world = make_world(limits=LIMITS.model_copy(update={"wrong_answers": 20}))
    world.a_person("carol", registered=("recovery_codes",))
    attempts = [world.start("carol", browser=f"browser-{number}") for number in range(20)]
    world.drain()
    for number, attempt in enumerate(attempts):
        world.send(attempt, "recovery_codes", browser=f"browser-{number}")
    codes = world.codes["carol"] * 2
    answers = at_once(
        lambda number: world.verify(attempts[number], codes[number], browser=f"browser-{number}")
    )
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 10
    left = [each.detail["left"] for each in world.audited(AuditAction.RECOVERY_CODE_USED)]
    assert sorted(left) == list(range(10))
    (used_up,) = world.authenticators("carol")
    assert used_up.suspended_at


def test_many_wrong_answers_at_once_count_as_many(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    code = world.code_for("bob")
    answers = at_once(lambda _: world.verify(attempt, wrong(code)))
    assert len([each for each in answers if isinstance(each, WrongCode)]) == 5
    assert world.read(attempt).stage is Stage.OVER


def test_guesses_spread_over_many_attempts_count_together(world: World) -> None:
    attempts = [world.start("bob", browser=f"browser-{number}") for number in range(MANY)]
    for number, attempt in enumerate(attempts):
        world.clock.forward(seconds=0.1)
        world.send(attempt, "totp", browser=f"browser-{number}")
    world.drain()
    answers = at_once(lambda number: world.verify(attempts[number], "000000", browser=f"browser-{number}"))
    assert len([each for each in answers if isinstance(each, WrongCode)]) == 5


def test_many_passwords_at_once_are_one_write(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    answers = at_once(lambda number: world.set_password(attempt, f"{NEW} {number}"))
    assert len(world.directory.written) == 1
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1
    assert {type(each) for each in answers if isinstance(each, FlowError)} == {WrongStage}


def test_many_unlocks_at_once_are_one(world: World) -> None:
    world.a_person("carol", registered=("email",), locked=True)
    attempt = world.proved("carol", purpose="unlock")
    answers = at_once(lambda _: world.unlock(attempt))
    assert world.directory.unlocked == [("entry-carol", True)]
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1
    assert {type(each) for each in answers if isinstance(each, FlowError)} == {WrongStage}
    assert len(world.audited(AuditAction.UNLOCK_ACCOUNT_UNLOCKED)) == 1


def test_a_claim_that_a_fail_over_lost_is_not_claimed_twice(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    stored = world.expiring.peek("attempt", attempt.id)
    world.set_password(attempt, NEW)
    world.expiring.put("attempt", attempt.id, stored, ttl=attempt.expires_at - world.now)
    with pytest.raises(AttemptExpired):
        world.set_password(attempt, "another good password")
    assert len(world.directory.written) == 1


def test_a_claim_that_is_lost_while_its_write_is_under_way_is_not_claimed_twice(
    world: World, monkeypatch
) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.proved("bob")
    stored, write = world.expiring.peek("attempt", attempt.id), world.directory.set_password

    def lose_the_claim_and_try_again(account: Subject, new: str) -> tuple[TargetResult, ...]:
        monkeypatch.setattr(world.directory, "set_password", write)
        world.expiring.put("attempt", attempt.id, stored, ttl=attempt.expires_at - world.now)
        with pytest.raises(AttemptExpired):
            world.set_password(attempt, "another good password")
        return write(account, new)

    monkeypatch.setattr(world.directory, "set_password", lose_the_claim_and_try_again)
    world.set_password(attempt, NEW)
    assert world.directory.written == [("entry-bob", NEW)]


def test_a_code_that_a_fail_over_brought_back_is_still_spent(make_world) -> None:
    world = make_world(document=policy(register=2, reset=2))
    world.a_person("carol", registered=("email", "totp"))
    attempt = world.send(world.start("carol"))
    code = world.code_for("carol")
    stored = world.expiring.peek("attempt", attempt.id)
    world.verify(attempt, code)
    world.expiring.put("attempt", attempt.id, stored, ttl=attempt.expires_at - world.now)
    with pytest.raises(CodeExpired):
        world.verify(attempt, code)


def test_one_binding_confirmed_many_times_at_once_is_one_authenticator(world: World) -> None:
    world.a_person("alice")
    registration, member = world.recovery.registration, world.member("alice")
    pending = registration.begin(member, "email", MINE, now=world.now)
    world.drain()
    code = code_in(world.outbox.to(MINE)[-1])
    at_once(lambda _: registration.confirm(member, pending.id, code, now=world.now))
    assert len(world.authenticators("alice")) == 1


def test_one_work_used_many_times_at_once_starts_one_attempt(world: World) -> None:
    work = world.work()
    start = world.recovery.reset.start
    answers = at_once(lambda _: start("bob", address="192.0.2.7", browser="a", work=work, now=world.now))
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1


def test_changes_at_once_all_count(world: World) -> None:
    attempt = world.start("bob")
    records = Records(world.expiring, "attempt", Attempt)
    at_once(
        lambda _: records.change(
            attempt.id, lambda facts: replace(facts, wrong_answers=facts.wrong_answers + 1)
        )
    )
    assert world.read(attempt).wrong_answers == MANY
