"""Codes of the helpdesk: one person, one purpose, one attempt, a quarter of an hour, once (S23)."""

from typing import Any

import pytest

from flows.errors import AttemptExpired, HelpRefused, NotPossible, WrongCode
from flows.help.helpdesk_codes import HelpdeskCodes, IssuedCodes, plain_reference
from flows.registering.binding import HANDED_OUT
from store.audit import AuditAction
from tests.flows.conftest import OpenWorld
from tests.flows.world import LIMITS, World, policy, wrong

KINDS = 'kinds = ["email", "totp", "helpdesk_code"]'


@pytest.fixture
def world(make_world: OpenWorld) -> World:
    return make_world(document=policy(more=KINDS))


@pytest.fixture
def two_gates(make_world: OpenWorld) -> World:
    return make_world(document=policy(register=2, reset=2, more=KINDS))


def helpdesk(world: World) -> HelpdeskCodes:
    return HelpdeskCodes(
        database=world.database,
        vault=world.vault,
        directory=world.directory,
        policies=world.gate.current_policy,
        eligibility=world.recovery.eligibility,
        issued=IssuedCodes(world.expiring),
    )


def asked(world: World, name: str = "jane", purpose: str = "reset") -> Any:
    """An attempt that asks for the helpdesk's code."""
    attempt = world.start(name, purpose)
    world.drain()
    return world.send(attempt, "helpdesk_code")


def handed_out(world: World, attempt: Any, name: str = "jane", purpose: str = "reset") -> str:
    return helpdesk(world).issue(name, purpose, attempt.reference, author="frank", now=world.now).code


def test_a_code_is_one_proof_in_the_attempt_that_it_was_handed_out_for(world: World) -> None:
    world.a_person("jane")
    attempt = asked(world)
    assert world.verify(attempt, handed_out(world, attempt)).stage == "new_password"
    world.set_password(attempt, "four words not together")
    assert world.directory.written


def test_both_ends_are_audited_with_who_handed_it_out(world: World) -> None:
    world.a_person("jane")
    attempt = asked(world)
    world.verify(attempt, handed_out(world, attempt))
    events = [
        world.audited(action)[0]
        for action in (AuditAction.HELPDESK_CODE_ISSUED, AuditAction.HELPDESK_CODE_USED)
    ]
    assert [each.detail["author"] for each in events] == ["frank", "frank"]
    assert [each.reference for each in events] == [attempt.reference] * 2


def test_it_is_no_good_in_another_attempt_of_the_same_person(world: World) -> None:
    world.a_person("jane")
    first, second = asked(world), asked(world)
    code = handed_out(world, first)
    with pytest.raises(WrongCode):
        world.verify(second, code)


def test_it_is_no_good_for_another_person(world: World) -> None:
    world.a_person("jane")
    world.a_person("joe")
    attempt = asked(world, "joe")
    code = handed_out(world, attempt, "jane")
    with pytest.raises(WrongCode):
        world.verify(attempt, code)


def test_it_is_no_good_for_another_purpose(world: World) -> None:
    world.a_person("jane", registered=("email",))
    attempt = asked(world)
    code = handed_out(world, attempt, purpose="unlock")
    with pytest.raises(WrongCode):
        world.verify(attempt, code)


def test_it_is_good_for_fifteen_minutes(make_world: OpenWorld) -> None:
    world = make_world(document=policy(more=KINDS), limits=LIMITS.model_copy(update={"attempt_minutes": 60}))
    world.a_person("jane")
    attempt = asked(world)
    code = handed_out(world, attempt)
    world.clock.forward(minutes=15)
    with pytest.raises(WrongCode):
        world.verify(attempt, code)


def test_a_newer_code_voids_the_older(world: World) -> None:
    world.a_person("jane")
    attempt = asked(world)
    older, newer = handed_out(world, attempt), handed_out(world, attempt)
    if older != newer:
        with pytest.raises(WrongCode):
            world.verify(attempt, older)
    assert world.verify(attempt, newer).proofs


def test_it_is_used_once_even_where_it_is_remembered_again(two_gates: World) -> None:
    two_gates.a_person("jane", registered=("email", "totp"))
    attempt = asked(two_gates)
    code = handed_out(two_gates, attempt)
    issued = IssuedCodes(two_gates.expiring)
    kept = issued.of(two_gates.person_id("jane"))
    two_gates.verify(attempt, code)
    assert kept
    with two_gates.database.transaction() as transaction:
        assert not transaction.spent.spend("helpdesk_code", kept.id, now=two_gates.now)


def test_it_is_one_gate_of_two(two_gates: World) -> None:
    two_gates.a_person("jane", registered=("email", "totp"))
    attempt = asked(two_gates)
    code = handed_out(two_gates, attempt)
    assert two_gates.verify(attempt, code).stage == "choose"
    two_gates.send(attempt, "email")
    assert two_gates.verify(attempt, two_gates.code_for("jane")).stage == "new_password"


def test_what_the_helpdesk_had_a_part_in_is_no_second_proof(two_gates: World) -> None:
    two_gates.a_person("jane", registered=("email",))
    with two_gates.database.transaction() as transaction:
        transaction.authenticators.add(
            two_gates.person_id("jane"),
            "totp",
            b"s" * 20,
            now=two_gates.now,
            trusted_from=two_gates.now,
            provenance=HANDED_OUT,
        )
    two_gates.seeds["jane"] = b"s" * 20
    attempt = asked(two_gates)
    two_gates.verify(attempt, handed_out(two_gates, attempt))
    two_gates.send(attempt, "totp")
    with pytest.raises(WrongCode):
        two_gates.verify(attempt, two_gates.app_code("jane"))


def test_what_the_helpdesk_had_a_part_in_and_was_proved_first_ends_at_the_claim(two_gates: World) -> None:
    two_gates.a_person("jane", registered=("email",))
    with two_gates.database.transaction() as transaction:
        transaction.authenticators.add(
            two_gates.person_id("jane"),
            "totp",
            b"s" * 20,
            now=two_gates.now,
            trusted_from=two_gates.now,
            provenance=HANDED_OUT,
        )
    two_gates.seeds["jane"] = b"s" * 20
    attempt = two_gates.start("jane")
    two_gates.drain()
    two_gates.send(attempt, "totp")
    two_gates.verify(attempt, two_gates.app_code("jane"))
    attempt = two_gates.send(attempt, "helpdesk_code")
    two_gates.verify(attempt, handed_out(two_gates, attempt))
    with pytest.raises(AttemptExpired):
        two_gates.set_password(attempt, "four words not together")
    assert not two_gates.directory.written


def test_nobody_with_special_rights_gets_one(world: World) -> None:
    world.a_person("root", privileged=True)
    with pytest.raises(HelpRefused, match="privileged"):
        handed_out(world, asked(world, "root"), "root")


def test_no_code_where_no_rule_lists_them(make_world: OpenWorld) -> None:
    world = make_world()
    world.a_person("jane")
    with pytest.raises(HelpRefused, match="not_covered"):
        helpdesk(world).issue("jane", "reset", "7K2M-PQ4D", author="frank", now=world.now)


def test_a_stranger_is_offered_the_same_and_guesses_nothing(world: World) -> None:
    world.a_person("jane")
    attempt = asked(world)
    code = handed_out(world, attempt)
    stranger = asked(world, "nobody")
    with pytest.raises(WrongCode):
        world.verify(stranger, code)
    with pytest.raises(WrongCode):
        world.verify(attempt, wrong(code))


def test_a_frozen_person_gets_in_by_no_code(world: World) -> None:
    world.a_person("jane")
    with world.database.transaction() as transaction:
        transaction.people.freeze(world.person_id("jane"), now=world.now)
    attempt = asked(world)
    with pytest.raises((WrongCode, NotPossible)):
        world.verify(attempt, handed_out(world, attempt))


def test_a_reference_may_be_read_out_in_any_way() -> None:
    assert plain_reference(" 7k2m pq4d") == plain_reference("7K2M\u2013PQ4D") == "7K2M-PQ4D"
