"""Passkeys as pages, before any device is asked."""

import json
import re
from collections.abc import Iterator

import pytest
from webtest import TestResponse

from tests.journeys.conftest import opened
from tests.journeys.world import World, heading
from tests.servers.security_key import SecurityKey


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    with opened(kinds=["email", "passkey"], host="localhost") as world:
        yield world


def options(page: TestResponse) -> str:
    return str(page.html.find(attrs={"data-passkey": True})["data-passkey"])


def key_of(world: World) -> SecurityKey:
    return SecurityKey(world.public, "localhost")


def test_every_name_is_asked_the_same(world: World) -> None:
    visitor = world.browser()
    page = visitor.sign_in("alice", "/sparekey/register")
    form = next(form for form in page.forms.values() if form.action.endswith("/register/passkey"))
    page = visitor._follow(form.submit(status="*"), 200)
    made = json.dumps(key_of(world).make(options(page)))
    assert "Blue key" in visitor.submit(page, code=made, name="Blue key").text
    pages = []
    for name in ("alice", "nobody"):
        page = world.browser().reset_until_code(name, "passkey")
        asked = json.loads(options(page))
        body = re.sub(r'value="[^"]*"', "", page.text.replace(asked["challenge"], ""))
        pages.append((page.status, sorted(page.headers), len(asked["challenge"]), body))
    assert pages[0] == pages[1]


@pytest.mark.parametrize("answer", ["", "{}", "null", "\x00", "[" * 5000, '{"id": {}, "response": 1}'])
def test_nonsense_is_answered_with_a_sentence(world: World, answer: str) -> None:
    visitor = world.browser()
    page = visitor.reset_until_code("nobody", "passkey")
    refused = visitor.submit(page, code=answer, status=422)
    assert heading(refused) == "Is your passkey at hand?"
    assert "There is a problem" in refused.text


def test_a_name_that_is_too_long_is_said_so(world: World) -> None:
    visitor = world.browser()
    page = visitor.sign_in("alice", "/sparekey/register")
    form = next(form for form in page.forms.values() if form.action.endswith("/register/passkey"))
    page = visitor._follow(form.submit(status="*"), 200)
    refused = visitor.submit(page, code="{}", name="x" * 41, status=422)
    assert "Enter at most 40 characters" in refused.text


def test_what_waits_as_a_passkey_is_answered_by_no_code(world: World) -> None:
    visitor = world.browser()
    page = visitor.sign_in("alice", "/sparekey/register")
    form = next(form for form in page.forms.values() if form.action.endswith("/register/passkey"))
    page = visitor._follow(form.submit(status="*"), 200)
    pending = page.request.path.rpartition("/")[2]
    assert visitor.get(f"/sparekey/register/pending/{pending}", status=410)
