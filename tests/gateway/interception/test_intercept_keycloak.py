"""Interception in front of a real Keycloak, with an independent relying party."""

import contextlib
import sqlite3
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from gateway.interception.hold import HoldGone, Replay, SomebodyElse, StartAgain
from gateway.interception.parked import Parked
from gateway.interception.sign_in_metrics import SESSION_MISSES
from idp_plugin.errors import IdpMisconfigured
from idp_plugin.settings import IdpSettings
from tests.gateway.interception.interception_world import World, gateway_settings, hold_secret, payload, world
from tests.servers import keycloak as kc
from tests.servers.relying_party import RelyingParty, StartRelyingParty
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor, forms

PEOPLE = tuple(kc.LocalPerson(name, f"Passw0rd!{name}") for name in ("alice", "bob", "carl", "dora"))


@dataclass
class Site:
    """A gateway in front of one realm."""

    world: World
    realm: kc.Realm

    def sign_in(
        self, visitor: Visitor, party: RelyingParty, username: str = "alice", **wishes: str
    ) -> httpx.Response:
        """Sign in with name and password; return what leaves the provider."""
        query = urllib.parse.urlencode(wishes)
        page = visitor.follow(visitor.get(f"{party.start}?{query}"), until=f"{self.world.public}/sparekey/")
        form = next(form for form in forms(page) if "password" in form.fields)
        fields = {**form.fields, "username": username, "password": f"Passw0rd!{username}"}
        return self.leaves(visitor, visitor.post(form.action, fields))

    def again(self, visitor: Visitor, party: RelyingParty, **wishes: str) -> httpx.Response:
        """Sign in on the session that is there."""
        query = urllib.parse.urlencode(wishes)
        return self.leaves(visitor, visitor.get(f"{party.start}?{query}"))

    def leaves(self, visitor: Visitor, answer: httpx.Response) -> httpx.Response:
        """Follow redirects within the provider."""
        while (location := answer.headers.get("location", "")).startswith(f"{self.world.public}/realms/"):
            answer = visitor.get(location)
        return answer

    def arrives(self, visitor: Visitor, answer: httpx.Response) -> httpx.Response:
        """Let the browser go wherever it is sent, by redirect or by a form that submits itself."""
        answer = visitor.follow(answer)
        if answer.status_code == 200 and "document.forms[0].submit()" in answer.text:
            answer = visitor.submit(answer)
        return answer

    def cookie(self, visitor: Visitor) -> str:
        return next(value for (_, _, name), value in visitor.cookies.items() if name == "KEYCLOAK_IDENTITY")


@pytest.fixture(scope="module")
def ports() -> tuple[str, int]:
    settings = gateway_settings()
    return settings.public, int(settings.listen.rpartition(":")[2])


@pytest.fixture(scope="module")
def realm(keycloak_realm: kc.MakeRealm, ports: tuple[str, int]) -> kc.Realm:
    return keycloak_realm(public=ports[0], people=PEOPLE)


def _idp(realm: kc.Realm, **more: str) -> IdpSettings:
    return IdpSettings(
        kind="keycloak",
        address=realm.keycloak.address,
        issuer=realm.issuer,
        client_id=kc.GATEWAY_CLIENT,
        client_secret=kc.GATEWAY_SECRET,
        **more,
    )


@pytest.fixture(scope="module")
def running(
    realm: kc.Realm, ports: tuple[str, int], tmp_path_factory: pytest.TempPathFactory, valkey_server: Valkey
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("gateway")
    with world(_idp(realm), gateway_settings(ports[1]), folder, valkey_server.url) as started:
        yield Site(started, realm)


@pytest.fixture
def site(running: Site, valkey: Valkey) -> Site:
    """The one gateway of this module, with nobody registered."""
    with contextlib.closing(sqlite3.connect(running.world.database._engine.url.database or "")) as connection:
        connection.execute("DELETE FROM authenticators")
        connection.commit()
    return running


@pytest.fixture
def silent_site(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """As `recognition = "silent"`."""
    monkeypatch.setattr(site.world.parts.recogniser, "_believes_cookies", False)
    return site


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    visitor = Visitor()
    yield visitor
    visitor.client.close()


@pytest.fixture
def party(site: Site, relying_party: StartRelyingParty) -> RelyingParty:
    return relying_party(site.realm.issuer, kc.PUBLIC_APPLICATION)


@pytest.fixture
def form_party(site: Site, relying_party: StartRelyingParty) -> RelyingParty:
    return relying_party(
        site.realm.issuer, kc.CONFIDENTIAL_APPLICATION, kc.APPLICATION_SECRET, response_mode="form_post"
    )


def test_a_covered_person_reaches_the_application(site: Site, party: RelyingParty, visitor: Visitor) -> None:
    site.world.register(site.realm.subject("alice"))
    arrived = site.arrives(visitor, site.sign_in(visitor, party))
    assert arrived.status_code == 200
    assert party.sign_ins[0]["preferred_username"] == "alice"


def test_code_with_pkce_is_held_and_replayed(site: Site, party: RelyingParty, visitor: Visitor) -> None:
    hold_id = site.world.held(site.sign_in(visitor, party))
    held = site.world.parts.holds.read(hold_id, hold_secret(visitor, hold_id))
    assert held.sign_in.subject.id == site.realm.subject("alice")
    assert held.sign_in.verified_by == "session_cookie"
    assert held.sign_in.client_id == kc.PUBLIC_APPLICATION
    site.world.register(held.sign_in.subject.id)
    released = site.world.release(visitor, hold_id)
    assert isinstance(released, Replay)
    assert site.arrives(visitor, visitor.get(released.location)).status_code == 200
    assert party.sign_ins[0]["sid"] == held.sign_in.session_id
    assert not party.refusals


def test_form_post_is_held_and_replayed(site: Site, form_party: RelyingParty, visitor: Visitor) -> None:
    hold_id = site.world.held(site.sign_in(visitor, form_party))
    site.world.register(site.realm.subject("alice"))
    released = site.world.release(visitor, hold_id)
    assert isinstance(released, Replay)
    assert site.arrives(visitor, visitor.get(released.location)).status_code == 200
    assert form_party.sign_ins
    assert not form_party.refusals


def test_a_fresh_sign_in_is_delivered_as_it_was(site: Site, party: RelyingParty, visitor: Visitor) -> None:
    hold_id = site.world.held(site.sign_in(visitor, party, prompt="login"))
    site.world.register(site.realm.subject("alice"))
    released = site.world.release(visitor, hold_id)
    assert isinstance(released, Parked)
    assert released.status == 303
    location = dict(released.headers)[b"Location"].decode()
    assert visitor.follow(visitor.get(location)).status_code == 200
    assert party.sign_ins[0]["acr"] == "1"


def test_a_parked_form_is_delivered_as_it_was(site: Site, form_party: RelyingParty, visitor: Visitor) -> None:
    hold_id = site.world.held(site.sign_in(visitor, form_party, prompt="login"))
    site.world.register(site.realm.subject("alice"))
    released = site.world.release(visitor, hold_id)
    assert isinstance(released, Parked)
    page = httpx.Response(
        released.status, content=released.body, request=httpx.Request("GET", site.world.public)
    )
    assert visitor.submit(page).status_code == 200
    assert form_party.sign_ins


def test_a_fresh_sign_in_after_long_is_rewritten(site: Site, party: RelyingParty, visitor: Visitor) -> None:
    hold_id = site.world.held(site.sign_in(visitor, party, prompt="login", max_age="0"))
    site.world.register(site.realm.subject("alice"))
    site.world.expiring.drop("parked", hold_id)
    released = site.world.release(visitor, hold_id)
    assert isinstance(released, Replay)
    assert "prompt" not in released.location
    assert "max_age" not in released.location
    assert site.arrives(visitor, visitor.get(released.location)).status_code == 200
    assert party.sign_ins


def test_a_rewritten_request_is_not_answered_for_somebody_else(
    site: Site, party: RelyingParty, visitor: Visitor
) -> None:
    hold_id = site.world.held(site.sign_in(visitor, party, prompt="login"))
    site.world.register(site.realm.subject("alice"))
    site.world.register(site.realm.subject("bob"))
    site.world.expiring.drop("parked", hold_id)
    released = site.world.release(visitor, hold_id)
    assert isinstance(released, Replay)
    other = Visitor()
    site.sign_in(other, party, "bob")
    answer = other.get(released.location)
    assert answer.status_code == 409
    assert "location" not in answer.headers
    other.client.close()


def test_a_second_application_is_held_and_released_too(
    site: Site, party: RelyingParty, form_party: RelyingParty, visitor: Visitor
) -> None:
    first = site.world.held(site.sign_in(visitor, party))
    second = site.world.held(site.again(visitor, form_party))
    site.world.register(site.realm.subject("alice"))
    for hold_id in (second, first):
        released = site.world.release(visitor, hold_id)
        assert isinstance(released, Replay)
        assert site.arrives(visitor, visitor.get(released.location)).status_code == 200
    assert party.sign_ins
    assert form_party.sign_ins


def test_another_person_in_the_same_browser_is_not_given_the_hold(
    site: Site, party: RelyingParty, visitor: Visitor
) -> None:
    hold_id = site.world.held(site.sign_in(visitor, party, "alice"))
    for key in [key for key in visitor.cookies if "sparekey" not in key[2]]:
        del visitor.cookies[key]
    bobs = site.world.held(site.sign_in(visitor, party, "bob"))
    bob = site.world.parts.holds.read(bobs, hold_secret(visitor, bobs)).sign_in
    for subject in ("alice", "bob", "carl", "dora"):
        site.world.register(site.realm.subject(subject))
    as_bob = {"subject": bob.subject.id, "session_id": bob.session_id}
    assert isinstance(site.world.release(visitor, hold_id, **as_bob), SomebodyElse)
    assert isinstance(site.world.release(visitor, bobs), Replay)


def test_without_our_cookie_the_answer_is_parked(site: Site, party: RelyingParty, visitor: Visitor) -> None:
    page = visitor.follow(visitor.get(party.start))
    form = next(form for form in forms(page) if "password" in form.fields)
    for key in [key for key in visitor.cookies if key[2].startswith("sparekey")]:
        del visitor.cookies[key]
    answer = visitor.post(form.action, {**form.fields, "username": "alice", "password": "Passw0rd!alice"})
    hold_id = site.world.held(answer)
    held = site.world.parts.holds.read(hold_id, hold_secret(visitor, hold_id))
    # The step's own address names the client, and Keycloak checks it.
    assert held.sign_in.client_id == kc.PUBLIC_APPLICATION
    site.world.register(held.sign_in.subject.id)
    site.world.expiring.drop("parked", hold_id)
    assert site.world.release(visitor, hold_id) == StartAgain(party.address)


def test_another_gateway_finds_the_request_in_valkey(
    site: Site, party: RelyingParty, visitor: Visitor
) -> None:
    page = visitor.follow(visitor.get(party.start))
    site.world.settle()
    site.world.parts.remembered._local.clear()
    form = next(form for form in forms(page) if "password" in form.fields)
    answer = visitor.post(form.action, {**form.fields, "username": "alice", "password": "Passw0rd!alice"})
    hold_id = site.world.held(answer)
    held = site.world.parts.holds.read(hold_id, hold_secret(visitor, hold_id))
    assert held.sign_in.client_id == kc.PUBLIC_APPLICATION


def test_the_silent_check_learns_the_same_person(
    silent_site: Site, relying_party: StartRelyingParty, visitor: Visitor
) -> None:
    party = relying_party(silent_site.realm.issuer, kc.PUBLIC_APPLICATION)
    hold_id = silent_site.world.held(silent_site.sign_in(visitor, party))
    sign_in = silent_site.world.parts.holds.read(hold_id, hold_secret(visitor, hold_id)).sign_in
    assert sign_in.verified_by == "silent_check"
    assert sign_in.subject.id == silent_site.realm.subject("alice")
    assert sign_in.session_id == payload(silent_site.cookie(visitor))["sid"]
    assert sign_in.username == "alice"


def test_errors_pass(site: Site, party: RelyingParty, visitor: Visitor) -> None:
    silent = site.again(visitor, party, prompt="none")
    assert "error=login_required" in silent.headers["location"]


def test_the_account_console_and_signing_out_are_no_misses(site: Site, visitor: Visitor) -> None:
    before = SESSION_MISSES._value.get()
    challenge = "A" * 43
    query = urllib.parse.urlencode(
        {
            "client_id": "account-console",
            "redirect_uri": f"{site.realm.issuer}/account/",
            "response_type": "code",
            "scope": "openid",
            "state": "s",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
    )
    page = visitor.get(f"{site.realm.issuer}/protocol/openid-connect/auth?{query}")
    form = next(form for form in forms(page) if "password" in form.fields)
    answer = visitor.post(form.action, {**form.fields, "username": "alice", "password": "Passw0rd!alice"})
    assert answer.headers["location"].startswith(f"{site.realm.issuer}/account/")
    assert "code=" in answer.headers["location"]
    assert visitor.get(f"{site.realm.issuer}/account/").status_code == 200
    question = visitor.get(f"{site.realm.issuer}/protocol/openid-connect/logout")
    assert visitor.submit(question).status_code == 200
    assert SESSION_MISSES._value.get() == before


def test_a_forced_password_change_ends_in_the_hold(site: Site, party: RelyingParty, visitor: Visitor) -> None:
    user = site.realm.admin("GET", f"/users/{site.realm.subject('carl')}").json()
    site.realm.admin("PUT", f"/users/{user['id']}", json={**user, "requiredActions": ["UPDATE_PASSWORD"]})
    page = site.sign_in(visitor, party, "carl")
    assert page.status_code == 200
    form = next(form for form in forms(page) if "password-new" in form.fields)
    new = {"password-new": "N3w-Passw0rd!carl", "password-confirm": "N3w-Passw0rd!carl"}
    answer = site.leaves(visitor, visitor.post(form.action, {**form.fields, **new}))
    assert site.world.held(answer)


def test_steps_within_a_session_are_no_misses(
    site: Site, party: RelyingParty, form_party: RelyingParty, visitor: Visitor
) -> None:
    before = SESSION_MISSES._value.get()
    site.world.register(site.realm.subject("dora"))
    site.sign_in(visitor, party, "dora")
    client = site.realm.admin("GET", "/clients", params={"clientId": kc.CONFIDENTIAL_APPLICATION}).json()[0]
    site.realm.admin("PUT", f"/clients/{client['id']}", json={**client, "consentRequired": True})
    consent = site.again(visitor, form_party)
    assert consent.status_code == 200
    granted = site.leaves(
        visitor, visitor.post(forms(consent)[0].action, {**forms(consent)[0].fields, "accept": "Yes"})
    )
    assert site.arrives(visitor, granted).status_code == 200
    site.realm.admin("PUT", f"/clients/{client['id']}", json=client)
    assert site.again(visitor, party, prompt="login").status_code == 200
    user = site.realm.admin("GET", f"/users/{site.realm.subject('dora')}").json()
    site.realm.admin("PUT", f"/users/{user['id']}", json={**user, "requiredActions": ["UPDATE_PASSWORD"]})
    assert site.again(visitor, party).status_code == 200
    assert SESSION_MISSES._value.get() == before
    assert form_party.sign_ins


def test_a_device_is_signed_in_without_a_miss(site: Site, visitor: Visitor) -> None:
    before = SESSION_MISSES._value.get()
    client = site.realm.admin("GET", "/clients", params={"clientId": kc.CONFIDENTIAL_APPLICATION}).json()[0]
    client["attributes"]["oauth2.device.authorization.grant.enabled"] = "true"
    site.realm.admin("PUT", f"/clients/{client['id']}", json=client)
    begun = visitor.post(
        f"{site.realm.issuer}/protocol/openid-connect/auth/device",
        {"client_id": kc.CONFIDENTIAL_APPLICATION, "client_secret": kc.APPLICATION_SECRET, "scope": "openid"},
    ).json()
    page = visitor.follow(visitor.get(begun["verification_uri_complete"]))
    page = visitor.submit(page, username="alice", password="Passw0rd!alice")
    page = visitor.submit(page, accept="Yes")
    assert page.status_code == 200
    assert "device/status" in str(page.url)
    assert SESSION_MISSES._value.get() == before


def test_a_second_tab_at_the_sign_in_page_is_held_and_released(
    site: Site, party: RelyingParty, form_party: RelyingParty, visitor: Visitor
) -> None:
    other_tab = visitor.follow(visitor.get(form_party.start))
    first = site.world.held(site.sign_in(visitor, party))
    second = site.world.held(site.leaves(visitor, visitor.get(str(other_tab.url))))
    site.world.register(site.realm.subject("alice"))
    for hold_id in (first, second):
        released = site.world.release(visitor, hold_id)
        assert isinstance(released, Replay)
        assert site.arrives(visitor, visitor.get(released.location)).status_code == 200


def test_going_back_after_the_release_finds_nothing_held(
    site: Site, party: RelyingParty, visitor: Visitor
) -> None:
    hold_id = site.world.held(site.sign_in(visitor, party))
    site.world.register(site.realm.subject("alice"))
    site.world.release(visitor, hold_id)
    with pytest.raises(HoldGone):
        site.world.parts.holds.read(hold_id, hold_secret(visitor, hold_id))


def test_a_hybrid_answer_is_held(site: Site, visitor: Visitor) -> None:
    client = site.realm.admin("GET", "/clients", params={"clientId": kc.CONFIDENTIAL_APPLICATION}).json()[0]
    client["implicitFlowEnabled"] = True
    site.realm.admin("PUT", f"/clients/{client['id']}", json=client)
    query = urllib.parse.urlencode(
        {
            "client_id": kc.CONFIDENTIAL_APPLICATION,
            "redirect_uri": "http://127.0.0.1/callback",
            "response_type": "code id_token",
            "scope": "openid",
            "state": "s",
            "nonce": "n",
        }
    )
    page = visitor.get(f"{site.realm.issuer}/protocol/openid-connect/auth?{query}")
    form = next(form for form in forms(page) if "password" in form.fields)
    answer = visitor.post(form.action, {**form.fields, "username": "alice", "password": "Passw0rd!alice"})
    hold_id = site.world.held(site.leaves(visitor, answer))
    site.world.register(site.realm.subject("alice"))
    released = site.world.release(visitor, hold_id)
    assert isinstance(released, Replay)
    assert "id_token=" in visitor.get(released.location).headers["location"]


def test_what_the_browser_claims_of_its_session_is_not_believed(
    site: Site, party: RelyingParty, visitor: Visitor
) -> None:
    site.world.register(site.realm.subject("bob"))
    bob = Visitor()
    site.sign_in(bob, party, "bob")
    page = visitor.follow(visitor.get(party.start))
    form = next(form for form in forms(page) if "password" in form.fields)
    scope = f"/realms/{site.realm.name}/"
    visitor.cookies[("127.0.0.1", scope, "KEYCLOAK_IDENTITY")] = site.cookie(bob)
    answer = visitor.post(form.action, {**form.fields, "username": "alice", "password": "Passw0rd!alice"})
    assert "code=" not in answer.headers.get("location", "")


def test_a_gateway_that_keycloak_does_not_know_never_opens(
    realm: kc.Realm, ports: tuple[str, int], tmp_path: Path, valkey: Valkey
) -> None:
    for wrong in (
        {"client_secret": "wrong"},
        {"client_id": "nobody"},
        {"issuer": f"{realm.public}/realms/master"},
    ):
        idp = _idp(realm).model_copy(
            update={name: SecretStr(v) if "secret" in name else v for name, v in wrong.items()}
        )
        folder = tmp_path / next(iter(wrong))
        folder.mkdir()
        with pytest.raises(IdpMisconfigured), world(idp, gateway_settings(ports[1]), folder, valkey.url):
            pass
