"""Interception in front of the demo provider: the whole way through the plane."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gateway.plane.hold import HoldGone, Replay, SomebodyElse, StillDue
from gateway.plane.parked import Parked
from idp_plugin.demo import servers
from idp_plugin.demo.provider import SESSION_COOKIE
from idp_plugin.settings import IdpSettings
from tests.gateway.plane.interception_world import World, gateway_settings, world
from tests.servers.processes import free_port
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor


@dataclass
class Demo:
    world: World
    demo: servers.RunningDemo

    @property
    def application(self) -> str:
        return self.demo.addresses.application

    def subject(self, username: str) -> str:
        from idp_plugin.ldap.openldap import OpenLdap

        found = OpenLdap(self.demo.directory, self.world.public).find(username)
        assert found
        return found.subject.id

    def to_sign_in(self, visitor: Visitor, **wishes: str) -> httpx.Response:
        """Follow the application to the provider, and stop at a page or outside."""
        query = "&".join(f"{name}={value}" for name, value in wishes.items())
        begun = visitor.get(f"{self.application}/sign-in?{query}")
        return visitor.get(begun.headers["location"])

    def sign_in(self, visitor: Visitor, username: str, **wishes: str) -> httpx.Response:
        """Type name and password; return the answer to that."""
        from tests.servers.visitor import forms

        page = self.to_sign_in(visitor, **wishes)
        form = forms(page)[0]
        fields = {**form.fields, "username": username, "password": self.demo.passwords[username]}
        return visitor.post(form.action, fields)


@pytest.fixture
def demo(tmp_path: Path, valkey: Valkey) -> Iterator[Demo]:
    gateway = gateway_settings()
    port = free_port()
    addresses = servers.DemoAddresses(gateway.public, f"http://127.0.0.1:{port}")
    folder = tmp_path / "demo"
    folder.mkdir(mode=0o700)
    with servers.start_at(addresses, folder, port) as running:
        idp = IdpSettings(
            address=running.provider,
            issuer=gateway.public,
            client_id=servers.GATEWAY_CLIENT,
            client_secret=running.client_secret,
            session_cookies=(SESSION_COOKIE,),
        )
        with world(idp, gateway, tmp_path, valkey.url) as started:
            yield Demo(started, running)


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


def test_a_loop_ends_with_a_page(demo: Demo, visitor: Visitor) -> None:
    demo.world.held(demo.sign_in(visitor, "alice"))
    demo.world.held(demo.to_sign_in(visitor))
    ended = demo.to_sign_in(visitor)
    assert ended.status_code == 508
    assert re.search(r"<code>\w{8}</code>", ended.text)
    assert "location" not in ended.headers


def test_errors_pass(demo: Demo, visitor: Visitor) -> None:
    answer = demo.to_sign_in(visitor, prompt="none")
    assert "error=login_required" in answer.headers["location"]


def test_the_sign_in_page_gets_the_link_and_the_browser_its_id(demo: Demo, visitor: Visitor) -> None:
    page = demo.to_sign_in(visitor)
    assert 'id="sparekey-link"' in page.text
    assert any(name == "sparekey-requests" for _, _, name in visitor.cookies)
