"""Another identity: linked and proved by signing in at a further provider, and by nothing else."""

import html
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx
import pytest
from webtest import TestResponse

from gateway.settings import SettingsInvalid
from tests.journeys.second_provider import SecondProvider, second_provider
from tests.journeys.world import PageVisitor, World, heading, open_world
from tests.servers.processes import free_port

NEW = "correct horse battery staple"


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[World, SecondProvider]]:
    # A socket's path may have 107 bytes, so pytest's own long temporary names do not serve.
    folder = Path(tempfile.mkdtemp(prefix="sparekey-linked-"))
    port = free_port()
    try:
        with (
            second_provider(folder / "second", f"http://127.0.0.1:{port}") as second,
            open_world(folder, kinds=["email", "identity"], port=port, identities=[second.settings]) as world,
        ):
            yield world, second
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def world(opened: tuple[World, SecondProvider]) -> World:
    opened[0].begin_anew()
    return opened[0]


@pytest.fixture
def second(opened: tuple[World, SecondProvider]) -> SecondProvider:
    return opened[1]


def sent_there(page: TestResponse, index: int = 0) -> str:
    """Press the button of the University, and return where it leads."""
    form = page.forms[index]
    action = re.search(r'formaction="([^"]*)"', page.text)
    assert action
    form.action = html.unescape(action[1])
    answer = form.submit("provider", value="University", status=303)
    return str(answer.headers["Location"])


def signed_in_there(second: SecondProvider, location: str, username: str) -> str:
    """Sign in at the second provider, and return where it leads back to."""
    with httpx.Client(trust_env=False) as client:
        asked = client.get(location)
        action = re.search(r'<form[^>]*action="([^"]*)"', asked.text)
        assert action, asked.text
        credentials = {"username": username, "password": second.people.passwords[username]}
        answer = client.post(urljoin(str(asked.url), html.unescape(action[1])), data=credentials)
        return str(answer.headers["location"])


def comes_back(visitor: PageVisitor, location: str) -> TestResponse:
    return visitor.get(location.removeprefix(visitor.world.public), status=None)


def linked(world: World, second: SecondProvider, username: str = "alice", there: str = "bob") -> PageVisitor:
    visitor = world.browser()
    visitor.sign_in(username)
    page = visitor.get("/sparekey/register/identity")
    done = comes_back(visitor, signed_in_there(second, sent_there(page), there))
    assert "University" in done.text
    return visitor


def asked_to_sign_in(world: World, visitor: PageVisitor, username: str) -> TestResponse:
    page = visitor.submit(visitor.start_reset(username), kind="identity")
    world.work()
    world.clock.forward(seconds=5)
    return page


def test_an_identity_that_was_linked_resets_the_password(world: World, second: SecondProvider) -> None:
    linked(world, second)
    visitor = world.browser()
    page = asked_to_sign_in(world, visitor, "alice")
    page = comes_back(visitor, signed_in_there(second, sent_there(page), "bob"))
    assert heading(page) == "What should your new password be?"
    assert heading(visitor.submit(page, password=NEW)) == "Your password was changed"


def test_the_sign_in_there_is_asked_to_be_a_new_one_and_bound_by_pkce_and_nonce(
    world: World, second: SecondProvider
) -> None:
    visitor = world.browser()
    asked = parse_qs(urlsplit(sent_there(asked_to_sign_in(world, visitor, "alice"))).query)
    assert (asked["prompt"], asked["max_age"]) == (["login"], ["0"])
    assert asked["code_challenge_method"] == ["S256"]
    assert len(asked["nonce"][0]) >= 32
    assert "alice" not in str(asked)


def test_somebody_else_there_proves_nothing(world: World, second: SecondProvider) -> None:
    linked(world, second)
    visitor = world.browser()
    page = asked_to_sign_in(world, visitor, "alice")
    page = comes_back(visitor, signed_in_there(second, sent_there(page), "erin"))
    assert "You signed in as somebody else" in page.text


def test_an_unknown_name_is_sent_to_the_same_place_and_proves_nothing(
    world: World, second: SecondProvider
) -> None:
    linked(world, second)
    visitor = world.browser()
    page = asked_to_sign_in(world, visitor, "nobody")
    page = comes_back(visitor, signed_in_there(second, sent_there(page), "bob"))
    assert "You signed in as somebody else" in page.text


def test_an_answer_counts_in_the_browser_that_asked_for_it_alone(
    world: World, second: SecondProvider
) -> None:
    linked(world, second)
    victim, attacker = world.browser(), world.browser()
    page = asked_to_sign_in(world, victim, "alice")
    asked_to_sign_in(world, attacker, "alice")
    location = signed_in_there(second, sent_there(page), "bob")
    assert comes_back(attacker, location).status_int == 400


def test_an_answer_counts_once(world: World, second: SecondProvider) -> None:
    linked(world, second)
    visitor = world.browser()
    location = signed_in_there(second, sent_there(asked_to_sign_in(world, visitor, "alice")), "bob")
    comes_back(visitor, location)
    again = comes_back(visitor, location)
    assert heading(again) == "What should your new password be?"
    other = asked_to_sign_in(world, visitor, "alice")
    assert heading(comes_back(visitor, location)) == heading(other)


def test_nothing_that_a_browser_posts_poses_as_an_answer(world: World, second: SecondProvider) -> None:
    linked(world, second)
    visitor = world.browser()
    page = asked_to_sign_in(world, visitor, "alice")
    location = signed_in_there(second, sent_there(page), "bob")
    for forged in (location, parse_qs(urlsplit(location).query)["state"][0], "bob", "{}"):
        token = page.forms[0]["csrf_token"].value
        answer = visitor.app.post("/sparekey/reset/code", {"csrf_token": token, "code": forged}, status="*")
        assert answer.status_int in {422, 303}
        assert "password" not in answer.headers.get("Location", "")


def test_a_portal_sign_in_is_no_answer_and_the_reverse(world: World, second: SecondProvider) -> None:
    visitor = world.browser()
    page = asked_to_sign_in(world, visitor, "alice")
    location = signed_in_there(second, sent_there(page), "bob")
    assert visitor.get(
        location.removeprefix(world.public).replace("/oidc/identity", "/oidc/callback"), status=400
    )


def test_who_stops_there_may_try_again_and_nothing_is_counted(world: World, second: SecondProvider) -> None:
    visitor = world.browser()
    for _time in range(7):
        page = asked_to_sign_in(world, visitor, "alice")
        state = parse_qs(urlsplit(sent_there(page)).query)["state"][0]
        query = urlencode({"error": "access_denied", "state": state})
        stopped = visitor.get(f"/sparekey/oidc/identity?{query}")
        assert "was not finished" in stopped.text


def test_an_identity_is_proved_before_something_is_changed(world: World, second: SecondProvider) -> None:
    linked(world, second)
    visitor = world.browser()
    visitor.sign_in("alice")
    page = visitor.get("/sparekey/register/prove?then=email")
    page = visitor.submit(page, kind=re.findall(r'name="kind" value="([^"]+)"', page.text)[0])
    page = comes_back(visitor, signed_in_there(second, sent_there(page), "bob"))
    assert heading(page) == "Where should we send a code when you need one?"


def test_the_same_identity_is_linked_once(world: World, second: SecondProvider) -> None:
    visitor = linked(world, second)
    page = visitor.get("/sparekey/register/identity")
    page = comes_back(visitor, signed_in_there(second, sent_there(page), "bob"))
    assert "cannot be linked" in page.text


def test_the_provider_whose_password_is_recovered_recovers_nothing(tmp_path: Path) -> None:
    port = free_port()
    own = {
        "name": "The same",
        "issuer": f"http://127.0.0.1:{port}",
        "client_id": "sparekey",
        "client_secret": "x",
    }
    with (
        pytest.raises(SettingsInvalid, match="whose passwords are recovered"),
        open_world(tmp_path, port=port, identities=[own]),
    ):
        pass


def test_a_policy_that_lists_them_needs_a_provider(tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsInvalid, match="no further provider"),
        open_world(tmp_path, kinds=["email", "identity"]),
    ):
        pass
