"""Many at the same moment, over many runs: what is counted counts, and what is good once is good once."""

from functools import partial

import pytest

from flows.abuse.throttle import Throttle
from flows.errors import CodeExpired, FlowError, TooManyAttempts, WrongCode, WrongStage
from store.audit import AuditAction
from store.spent import Spent
from tests.flows.test_races import at_once
from tests.flows.world import LIMITS, START, World, wrong

FIFTY = 50
RUNS = 60
"""For each of two databases."""


@pytest.fixture(params=["sqlite", "postgresql"])
def lasting(request: pytest.FixtureRequest) -> str:
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def roomy(make_world) -> World:
    """A world whose limits do not end a long test."""
    return make_world(
        limits=LIMITS.model_copy(
            update={"code_messages_per_hour": 100, "code_messages_per_destination": 1000}
        )
    )


def test_fifty_wrong_answers_at_once_use_up_five_and_refuse_the_right_one(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempts = [world.start("bob", browser=f"browser-{number}") for number in range(FIFTY)]
    for number, attempt in enumerate(attempts):
        world.send(attempt, "totp", browser=f"browser-{number}", hurry=True)
    world.clock.forward(seconds=5)
    world.drain()
    answers = at_once(
        lambda number: world.verify(attempts[number], "000000", browser=f"browser-{number}"), many=FIFTY
    )
    assert [type(each) for each in answers].count(WrongCode) == 5
    assert [type(each) for each in answers].count(TooManyAttempts) == FIFTY - 5
    assert len(world.audited(AuditAction.RESET_PROOF_REFUSED)) == 5
    late = world.start("bob")
    with pytest.raises(TooManyAttempts):
        world.send(late)


def test_fifty_answers_under_fifty_names_of_one_person_count_together(world: World) -> None:
    world.a_person("bob", registered=("totp",), emails=tuple(f"b{n}@example.org" for n in range(FIFTY)))
    attempts = [world.start(f"b{n}@example.org", browser=f"browser-{n}") for n in range(FIFTY)]
    world.drain()
    for number, attempt in enumerate(attempts):
        world.send(attempt, "totp", browser=f"browser-{number}", hurry=True)
    world.clock.forward(seconds=5)
    at_once(lambda number: world.verify(attempts[number], "000000", browser=f"browser-{number}"), many=FIFTY)
    attempt = world.start("bob")
    world.drain()
    world.send(attempt, "totp")
    with pytest.raises(WrongCode):
        world.verify(attempt, world.app_code("bob"))


def test_fifty_messages_at_once_are_five_and_two_for_known_devices(world: World) -> None:
    throttle = Throttle(world.counters, LIMITS)
    strangers = at_once(lambda _: throttle.code_to_person("ana", "reset", START), many=FIFTY)
    known = at_once(lambda _: throttle.code_to_person("ana", "reset", START, known=True), many=FIFTY)
    assert (strangers.count(True), known.count(True)) == (5, 2)


def test_fifty_starts_at_once_count_as_fifty(world: World) -> None:
    throttle = Throttle(world.counters, LIMITS.model_copy(update={"starts_per_minute": 25}))
    at_once(lambda _: throttle.start("198.51.100.7", START, waited=False), many=FIFTY)
    assert throttle.work_difficulty("198.51.100.7", START) == LIMITS.work_difficulty * 4


def test_one_code_redeemed_by_twenty_succeeds_exactly_once_over_many_runs(roomy: World) -> None:
    roomy.a_person("bob", registered=("email",))
    for run in range(RUNS):
        attempt = roomy.start("bob", browser=f"browser-{run}")
        roomy.clock.forward(seconds=61)
        roomy.send(attempt, browser=f"browser-{run}")
        redeem = partial(roomy.verify, attempt, roomy.code_for("bob"), browser=f"browser-{run}")
        answers = at_once(lambda _, redeem=redeem: redeem())
        refused = {type(each) for each in answers if isinstance(each, FlowError)}
        assert len([each for each in answers if not isinstance(each, FlowError)]) == 1
        assert refused <= {CodeExpired, WrongStage, TooManyAttempts}
    assert len(roomy.audited(AuditAction.RESET_PROOF_GIVEN)) == RUNS


def test_what_is_spent_by_twenty_is_spent_by_exactly_one_over_many_runs(world: World) -> None:
    def spend(secret: str) -> bool:
        with world.database.transaction() as transaction:
            spent: Spent = transaction.spent
            return spent.spend("code", secret, now=START)

    for run in range(RUNS):
        assert at_once(lambda _, secret=f"secret-{run}": spend(secret)).count(True) == 1


def test_a_wrong_answer_beside_the_right_one_takes_nothing_from_it(roomy: World) -> None:
    roomy.a_person("bob", registered=("email",))
    attempt = roomy.send(roomy.start("bob"))
    code = roomy.code_for("bob")
    answers = at_once(lambda number: roomy.verify(attempt, code if number else wrong(code)), many=4)
    assert len([each for each in answers if not isinstance(each, FlowError)]) == 1
