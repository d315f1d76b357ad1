"""Interception in front of the demo provider: the whole way through the plane."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.interception.hold import HoldGone, Replay, SomebodyElse, StillDue
from gateway.interception.parked import Parked
from gateway.interception.sign_in_metrics import PROMPT_NONE
from idp_plugin.base import Subject
from idp_plugin.demo import servers
from idp_plugin.demo.provider import SESSION_COOKIE
from idp_plugin.oidc_sessions import OidcSessions
from store.audit import AuditAction
from tests.gateway.interception.demo_world import Demo, demo_world
from tests.gateway.interception.interception_world import hold_secret
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor, forms


@pytest.fixture
def demo(tmp_path: Path, valkey: Valkey) -> Iterator[Demo]:
    with demo_world(tmp_path, valkey.url) as started:
        yield started


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    visitor = Visitor()
    yield visitor
    visitor.client.close()


def test_a_covered_person_reaches_the_application(demo: Demo, visitor: Visitor) -> None:
    demo.world.register(demo.subject("alice"))
    answer = demo.sign_in(visitor, "alice")
    assert answer.headers["location"].startswith(f"{demo.application}/callback?")
    assert visitor.follow(answer).status_code == 200


def test_an_uncovered_person_is_held_and_no_code_leaks(demo: Demo, visitor: Visitor) -> None:
    answer = demo.sign_in(visitor, "alice")
    hold_id = demo.world.held(answer)
    assert "code=" not in str(answer.headers)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert any(name == SESSION_COOKIE for _, _, name in visitor.cookies)
    secret = next(v for (_, _, name), v in visitor.cookies.items() if name.endswith(hold_id))
    held = demo.world.parts.holds.read(hold_id, secret)
    assert held.sign_in.subject.id == demo.subject("alice")
    assert held.sign_in.client_id == servers.APPLICATION_CLIENT
    assert held.application == demo.application


def test_registration_releases_by_exact_replay(demo: Demo, visitor: Visitor) -> None:
    hold_id = demo.world.held(demo.sign_in(visitor, "alice"))
    assert isinstance(demo.world.release(visitor, hold_id), StillDue)
    demo.world.register(demo.subject("alice"))
    released = demo.world.release(visitor, hold_id)
    assert isinstance(released, Replay)
    arrived = visitor.follow(visitor.get(released.location))
    assert arrived.status_code == 200
    assert re.search("alice", arrived.text, re.IGNORECASE)


def test_a_hold_is_released_once(demo: Demo, visitor: Visitor) -> None:
    hold_id = demo.world.held(demo.sign_in(visitor, "alice"))
    demo.world.register(demo.subject("alice"))
    demo.world.release(visitor, hold_id)
    with pytest.raises(HoldGone):
        demo.world.release(visitor, hold_id)


def test_a_stolen_hold_id_opens_nothing_without_its_cookie(demo: Demo, visitor: Visitor) -> None:
    hold_id = demo.world.held(demo.sign_in(visitor, "alice"))
    with pytest.raises(HoldGone):
        demo.world.parts.holds.read(hold_id, "")
    with pytest.raises(HoldGone):
        demo.world.parts.holds.read(hold_id, "x" * 43)


def test_another_person_or_session_is_not_given_the_hold(demo: Demo, visitor: Visitor) -> None:
    hold_id = demo.world.held(demo.sign_in(visitor, "alice"))
    demo.world.register(demo.subject("alice"))
    assert isinstance(demo.world.release(visitor, hold_id, subject=demo.subject("bob")), SomebodyElse)
    assert isinstance(demo.world.release(visitor, hold_id, session_id="another"), SomebodyElse)
    assert isinstance(demo.world.release(visitor, hold_id), Replay)


def test_single_sign_on_is_held_too(demo: Demo, visitor: Visitor) -> None:
    first = demo.world.held(demo.sign_in(visitor, "alice"))
    second = demo.world.held(demo.to_sign_in(visitor))
    assert first != second


def test_one_registration_releases_every_hold_of_the_session(demo: Demo, visitor: Visitor) -> None:
    first = demo.world.held(demo.sign_in(visitor, "alice"))
    second = demo.world.held(demo.to_sign_in(visitor))
    demo.world.register(demo.subject("alice"))
    for hold_id in (second, first):
        released = demo.world.release(visitor, hold_id)
        assert isinstance(released, Replay)
        assert "code=" in visitor.get(released.location).headers["location"]


def test_a_fresh_sign_in_is_delivered_as_it_was(demo: Demo, visitor: Visitor) -> None:
    hold_id = demo.world.held(demo.sign_in(visitor, "alice", prompt="login"))
    demo.world.register(demo.subject("alice"))
    released = demo.world.release(visitor, hold_id)
    assert isinstance(released, Parked)
    location = dict(released.headers)[b"Location"].decode()
    assert visitor.follow(visitor.get(location)).status_code == 200


def come_round(demo: Demo, visitor: Visitor) -> httpx.Response:
    """Release twice while the gate always finds something missing; return what the third round brings."""
    alice = demo.subject("alice")
    answer = demo.sign_in(visitor, "alice")
    for _ in range(2):
        hold_id = demo.world.held(answer)
        demo.world.register(alice)
        released = demo.world.release(visitor, hold_id)
        demo.world.unregister(alice)
        assert isinstance(released, Replay)
        answer = visitor.get(released.location)
    return answer


def test_a_loop_ends_with_a_page(demo: Demo, visitor: Visitor) -> None:
    ended = come_round(demo, visitor)
    assert ended.status_code == 508
    assert re.search(r"<code>\w{8}</code>", ended.text)
    assert "location" not in ended.headers
    with demo.world.database.reading() as transaction:
        (event,) = transaction.audit.find(action=AuditAction.SIGN_IN_LOOP_ENDED)
    assert event.reference in ended.text


def test_a_loop_does_not_go_on_without_our_cookies(demo: Demo, visitor: Visitor) -> None:
    come_round(demo, visitor)
    for key in [key for key in visitor.cookies if "sparekey" in key[2]]:
        del visitor.cookies[key]
    assert demo.to_sign_in(visitor).status_code == 508


def test_the_back_button_and_more_tabs_are_no_loop(demo: Demo, visitor: Visitor) -> None:
    demo.world.held(demo.sign_in(visitor, "alice"))
    for _ in range(5):
        demo.world.held(demo.to_sign_in(visitor))


def test_another_session_is_not_counted_with_it(demo: Demo, visitor: Visitor) -> None:
    come_round(demo, visitor)
    demo.world.held(demo.sign_in(Visitor(), "alice"))


def test_silent_requests_are_refused_by_a_standard_error_and_counted(demo: Demo, visitor: Visitor) -> None:
    demo.world.held(demo.sign_in(visitor, "alice"))
    before = PROMPT_NONE._value.get()
    refused = demo.to_sign_in(visitor, prompt="none").headers["location"]
    assert "error=interaction_required" in refused
    assert "code=" not in refused
    assert PROMPT_NONE._value.get() == before + 1
    demo.world.register(demo.subject("alice"))
    assert "code=" in demo.to_sign_in(visitor, prompt="none").headers["location"]


def test_a_remembered_silent_request_opens_nothing(demo: Demo, visitor: Visitor) -> None:
    page_address = visitor.get(f"{demo.application}/sign-in").headers["location"]
    refused = visitor.get(f"{page_address}&prompt=none")
    assert "error=login_required" in refused.headers["location"]
    form = forms(visitor.get(page_address))[0]
    fields = {**form.fields, "username": "alice", "password": demo.demo.passwords["alice"]}
    demo.world.held(visitor.post(form.action, fields))


def test_a_refused_request_does_not_name_the_client(demo: Demo, visitor: Visitor) -> None:
    address = visitor.get(f"{demo.application}/sign-in").headers["location"]
    form = forms(visitor.get(address))[0]
    for key in [key for key in visitor.cookies if key[2] == "sparekey-requests"]:
        del visitor.cookies[key]
    forged = visitor.get(address.replace(servers.APPLICATION_CLIENT, servers.GATEWAY_CLIENT))
    assert forged.status_code == 400
    fields = {**form.fields, "username": "alice", "password": demo.demo.passwords["alice"]}
    hold_id = demo.world.held(visitor.post(form.action, fields))
    assert demo.world.parts.holds.read(hold_id, hold_secret(visitor, hold_id)).sign_in.client_id == ""


def test_sessions_end_at_the_provider(demo: Demo, visitor: Visitor) -> None:
    demo.world.register(demo.subject("alice"))
    demo.sign_in(visitor, "alice")
    assert OidcSessions(demo.world.provider).end_all(Subject(demo.world.public, demo.subject("alice"))) == 0
    assert "location" not in demo.to_sign_in(visitor).headers


def test_errors_pass(demo: Demo, visitor: Visitor) -> None:
    answer = demo.to_sign_in(visitor, prompt="none")
    assert "error=login_required" in answer.headers["location"]


def test_the_sign_in_page_gets_the_link_and_the_browser_its_id(demo: Demo, visitor: Visitor) -> None:
    page = demo.to_sign_in(visitor)
    assert 'id="sparekey-link"' in page.text
    assert any(name == "sparekey-requests" for _, _, name in visitor.cookies)
