"""Security questions: chosen and answered, asked beside another proof, the same until they are answered."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from enforcement.policy import PolicyInvalid, load
from flows.authenticators.question_topics import TOPICS
from flows.authenticators.security_questions import clean_question, normalised
from flows.errors import (
    AttemptExpired,
    TooManyAttempts,
    Unavailable,
    UnusableAnswers,
    WrongCode,
    WrongStage,
)
from flows.hashing import Hashing
from flows.settings import QuestionSettings
from tests.flows.conftest import OpenWorld
from tests.flows.world import World, policy

KINDS = 'kinds = ["email", "security_questions"]'
PAIRS = [[f"topic:{topic}", f"answer {number}"] for number, topic in enumerate(TOPICS[:5])]
ANSWERS = dict(zip(TOPICS, (answer for _topic, answer in PAIRS), strict=False))


@pytest.fixture
def world(make_world: OpenWorld) -> World:
    world = make_world(document=policy(register=2, reset=2, delay=0, more=KINDS))
    world.a_person("jane")
    return world


def begin(world: World) -> Any:
    return world.recovery.registration.begin(world.member("jane"), "security_questions", now=world.now)


def answer(world: World, pairs: list[list[str]]) -> Any:
    pending = begin(world)
    return world.recovery.registration.confirm(
        world.member("jane"), pending.id, json.dumps(pairs), now=world.now
    )


@pytest.fixture
def jane(world: World) -> World:
    """Jane, with an address and five answers."""
    answer(world, PAIRS)
    with world.database.transaction() as transaction:
        world._register(transaction, world.person_id("jane"), "jane", "email")
    return world


def asked_after_mail(world: World, purpose: str = "reset") -> tuple[Any, list[dict[str, str]]]:
    attempt = world.proved("jane", purpose=purpose)
    return attempt, json.loads(world.send(attempt, "security_questions").challenge.asked)


def right(asked: list[dict[str, str]]) -> list[str]:
    return [ANSWERS[each["topic"]] for each in asked]


def test_three_of_five_are_asked_and_all_must_be_right(jane: World) -> None:
    attempt, asked = asked_after_mail(jane)
    assert len({each["id"] for each in asked}) == 3
    for number in range(3):
        typed = right(asked)
        typed[number] = "something else"
        with pytest.raises(WrongCode):
            jane.verify(attempt, json.dumps(typed))
    assert jane.verify(attempt, json.dumps(right(asked))).stage == "new_password"


def test_an_answer_to_another_question_is_wrong(jane: World) -> None:
    attempt, asked = asked_after_mail(jane)
    with pytest.raises(WrongCode):
        jane.verify(attempt, json.dumps(right(asked)[::-1]))


@pytest.mark.parametrize(
    "typed", ["", "[]", "{}", "null", '["a"]', '["a","b","c","d"]', "[1,2,3]", "[" * 9000]
)
def test_nonsense_is_a_wrong_answer(jane: World, typed: str) -> None:
    attempt, _asked = asked_after_mail(jane)
    with pytest.raises(WrongCode):
        jane.verify(attempt, typed)


def test_the_same_questions_are_asked_in_every_attempt_until_they_are_answered(jane: World) -> None:
    seen = []
    for _time in range(4):
        attempt, asked = asked_after_mail(jane)
        jane.send(attempt, "security_questions")
        seen.append(asked)
        jane.clock.forward(minutes=20)
    assert seen == [seen[0]] * 4
    attempt, asked = asked_after_mail(jane)
    jane.verify(attempt, json.dumps(right(asked)))
    later = []
    for _time in range(12):
        jane.clock.forward(minutes=20)
        attempt, asked = asked_after_mail(jane)
        jane.verify(attempt, json.dumps(right(asked)))
        later.append({each["id"] for each in asked})
    assert {each["id"] for each in seen[0]} != set().union(*later)


def test_they_are_never_asked_first(jane: World) -> None:
    attempt = jane.start("jane")
    jane.drain()
    assert [each.kind for each in jane.recovery.reset.offered(jane.read(attempt), now=jane.now)] == ["email"]
    with pytest.raises(WrongStage):
        jane.send(attempt, "security_questions")


def test_they_allow_no_change_of_recovery_data(jane: World) -> None:
    questions = next(each for each in jane.authenticators("jane") if each.kind == "security_questions")
    member = jane.member("jane", "another-session")
    with pytest.raises(AttemptExpired):
        jane.recovery.registration.prove_begin(member, questions.id, now=jane.now)


def test_a_rule_may_not_list_them_alone() -> None:
    with pytest.raises(PolicyInvalid, match="security questions"):
        load(policy(more='kinds = ["security_questions"]'))


def test_no_rule_lists_them_unless_it_says_so() -> None:
    assert "security_questions" not in load(policy()).rules[0].kinds


@pytest.mark.parametrize(
    ("at", "question", "typed", "why"),
    [
        (1, PAIRS[0][0], "another", "same_question"),
        (2, "", "another", "question"),
        (2, "topic:nothing", "another", "link"),
        (2, "ab", "another", "question"),
        (2, "x" * 201, "another", "question"),
        (2, "Have you seen evil.example.org?", "another", "link"),
        (2, "https:evil", "another", "link"),
        (3, "What is my cat called?", " ANSWER   0 ", "same_answer"),
        (3, "What is my cat called?", "ab", "length"),
        (3, "What is my cat called?", "x" * 41, "length"),
        (3, "My cat is called Tom, what is it called?", "tom", "in_question"),
    ],
)
def test_what_may_not_be_kept_is_said_and_counts_as_no_wrong_answer(
    world: World, at: int, question: str, typed: str, why: str
) -> None:
    pairs = [list(pair) for pair in PAIRS]
    pairs[at] = [question, typed]
    pending = begin(world)
    for _time in range(6):
        with pytest.raises(UnusableAnswers) as refused:
            world.recovery.registration.confirm(
                world.member("jane"), pending.id, json.dumps(pairs), now=world.now
            )
        assert (refused.value.why, refused.value.at) == (why, at)


def test_four_are_too_few_where_five_are_asked_for(world: World) -> None:
    with pytest.raises(UnusableAnswers):
        answer(world, PAIRS[:4])


def test_a_question_of_ones_own_is_asked_without_control_characters(make_world: OpenWorld) -> None:
    settings = QuestionSettings(to_register=3, to_reset=3)
    world = make_world(document=policy(register=2, reset=2, delay=0, more=KINDS), questions=settings)
    world.a_person("jane")
    answer(world, [["What\x00 is\u202e my\r\ncat called?", "Tom the cat"], *PAIRS[:2]])
    with world.database.transaction() as transaction:
        world._register(transaction, world.person_id("jane"), "jane", "email")
    _attempt, asked = asked_after_mail(world)
    assert "What is my cat called?" in {each["text"] for each in asked}


def test_questions_of_ones_own_may_be_forbidden(make_world: OpenWorld) -> None:
    settings = QuestionSettings(own=False, further=("What does our canteen serve on Fridays?",))
    world = make_world(document=policy(delay=0, more=KINDS), questions=settings)
    world.a_person("jane")
    with pytest.raises(UnusableAnswers):
        answer(world, [*PAIRS[:4], ["What is my cat called?", "Tom the cat"]])
    answer(world, [*PAIRS[:4], [settings.further[0], "fish again"]])


def test_no_answer_is_kept_as_it_was_typed(jane: World) -> None:
    questions = next(each for each in jane.authenticators("jane") if each.kind == "security_questions")
    assert b"answer 0" not in questions.secret
    assert questions.secret.count(b"$argon2id$") == 5


def test_a_new_set_after_a_proof_voids_the_earlier_one(jane: World) -> None:
    answer(jane, [[question, f"new {typed}"] for question, typed in PAIRS])
    assert [each.number for each in jane.authenticators("jane") if each.kind == "security_questions"] == [2]


def test_answers_are_compared_without_regard_to_case_blanks_and_writing() -> None:
    assert normalised("  STRA\u1e9eE\u00a0\u3000\uff2e\uff4f\uff0e\uff11 ") == normalised("strasse no.1")


def test_a_question_is_one_line() -> None:
    assert clean_question(" a\tb\x00\u2028c ") == "a b c"


def test_who_finds_the_queue_full_is_asked_to_come_again_and_nothing_waits_for_ever() -> None:
    hashing = Hashing(threads=1, waiting=1)

    def hash_one(_number: int) -> bool:
        try:
            hashing.hashed(["x"])
        except Unavailable:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        done = list(pool.map(hash_one, range(12)))
    hashing.close()
    assert 0 < sum(done) < 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"to_register": 3, "to_reset": 4},
        {"topics": ("nothing",)},
        {"further": ("ab",)},
        {"own": False, "topics": TOPICS[:2]},
        {"to_register": 2},
        {"to_reset": 6},
    ],
    ids=str,
)
def test_settings_that_cannot_be_met_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        QuestionSettings(**wrong)


def test_who_may_give_no_answer_any_more_makes_nothing_be_hashed(
    jane: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, _asked = asked_after_mail(jane)
    jane.clock.forward(seconds=61)
    attempt, _asked = asked_after_mail(jane)
    for _ in range(5):
        with pytest.raises(WrongCode):
            jane.verify(attempt, json.dumps(["x", "y", "z"]))
    hashed: list[object] = []
    monkeypatch.setattr(Hashing, "matching", lambda *what: hashed.append(what))
    with pytest.raises(TooManyAttempts):
        jane.verify(waiting, json.dumps(["x", "y", "z"]))
    assert hashed == []
