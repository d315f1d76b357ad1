"""Security questions as pages: chosen, answered, asked after another proof."""

import html
import re
from collections.abc import Callable, Iterator

import pytest
from webtest import TestResponse

from gateway.question_wording import TOPICS
from tests.journeys.conftest import opened
from tests.journeys.world import PageVisitor, World, heading

CHOSEN = ("first_pet", "nickname", "first_job", "dream_job", "favourite_food")
OWN = "What is <b>under</b> the bridge?"


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with opened(kinds=["email", "security_questions"], reset=2) as world:
        yield world


def form_of(page: TestResponse, action: str):
    return next(form for form in page.forms.values() if action in form.action)


def typed(page: TestResponse, rows: list[tuple[str, str, str]]) -> TestResponse:
    """Fill in questions, chosen or written, and answers, and press the button."""
    form = form_of(page, "/register/questions/")
    for at, (topic, own, answer) in enumerate(rows):
        form.fields["topic"][at].force_value(topic)
        form.fields["own"][at].value = own
        form.fields["code"][at].value = answer
    return form.submit(status="*")


def begun(world: World, username: str) -> tuple[PageVisitor, TestResponse]:
    visitor = world.browser()
    page = visitor.sign_in(username, "/sparekey/register")
    return visitor, visitor._follow(form_of(page, "/register/questions").submit(status="*"), 200)


def rows() -> list[tuple[str, str, str]]:
    return [(f"topic:{topic}", "", f"answer {number}") for number, topic in enumerate(CHOSEN)]


def answers(page: TestResponse, right: Callable[[str], str]) -> TestResponse:
    labels = re.findall(r'<label class="label" for="code[^"]*"><bdi>(.*?)</bdi>', page.text)
    form = form_of(page, "/reset/code")
    for field, label in zip(form.fields["code"], labels, strict=True):
        field.value = right(html.unescape(label))
    return form.submit(status="*")


def right_answer(label: str) -> str:
    topics = {str(TOPICS[topic]): number for number, topic in enumerate(CHOSEN)}
    return f"  ANSWER {topics[label]}"


def asked_after_mail(world: World, visitor: PageVisitor, username: str) -> TestResponse:
    world.clock.forward(seconds=1)
    page = visitor.reset_until_code(username)
    page = visitor.submit(page, code=world.code(f"{username}.private"))
    return visitor.submit(page, kind="security_questions")


def test_questions_are_set_up_and_let_somebody_back_in(world: World) -> None:
    world.register("alice", "email", days_ago=1)
    visitor, page = begun_after_proof(world, "alice")
    done = visitor._follow(typed(page, rows()), 200)
    assert "Security questions" in done.text
    stranger = world.browser()
    page = asked_after_mail(world, stranger, "alice")
    assert heading(page) == "What are your answers?"
    page = stranger._follow(answers(page, right_answer), 200)
    assert heading(page) == "What should your new password be?"


def begun_after_proof(world: World, username: str) -> tuple[PageVisitor, TestResponse]:
    visitor = world.browser()
    page = visitor.sign_in(username, "/sparekey/register/prove?then=security_questions")
    kind = re.findall(r'name="kind" value="([^"]+)"', page.text)[0]
    page = visitor.submit(page, kind=kind)
    page = visitor.submit(page, code=world.code(f"{username}.private"))
    return visitor, visitor._follow(form_of(page, "/register/questions").submit(status="*"), 200)


def test_what_is_wrong_is_said_beside_its_row_and_nothing_is_lost(world: World) -> None:
    visitor, page = begun(world, "alice")
    filled = rows()
    filled[3] = (filled[3][0], "", "answer 1")
    refused = typed(page, filled)
    assert refused.status_int == 422
    assert 'href="#code-3"' in refused.text
    assert "You have given this one already" in refused.text
    form = form_of(refused, "/register/questions/")
    assert [field.value for field in form.fields["code"]] == [answer for *_question, answer in filled]
    assert visitor._follow(typed(refused, rows()), 200).status_int == 200


def test_ones_own_question_is_shown_as_text(world: World) -> None:
    _visitor, page = begun(world, "alice")
    filled = [("", OWN, "mud and water"), *rows()[1:]]
    refused = typed(page, filled)
    assert refused.status_int == 422
    assert OWN not in refused.text
    assert html.escape(OWN) in refused.text


def test_leaving_one_out_counts_as_no_answer(world: World) -> None:
    world.register("alice", "email", days_ago=1)
    visitor, page = begun_after_proof(world, "alice")
    visitor._follow(typed(page, rows()), 200)
    stranger = world.browser()
    page = asked_after_mail(world, stranger, "alice")
    for _time in range(7):
        refused = answers(page, lambda _label: "")
        assert refused.status_int == 422
        assert "Answer every question" in refused.text
    assert stranger._follow(answers(page, right_answer), 200)


def test_strangers_are_not_offered_them(world: World) -> None:
    page = world.browser().start_reset("nobody")
    assert "security_questions" not in page.text
