"""What ends a session at an application, and what must not."""

import time
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from gateway.signin import LOGOUT_EVENT
from tests.gateway.forward_auth.around import NOTES, SCRIPT, WIKI, Around
from tests.gateway.forward_auth.direct import Direct, redirect_of, signed_in
from tests.servers.visitor import forms

NEW = "four words not together"
LOGOUT = "/sparekey/oidc/logout"


def passes(person: Direct, origin: str = WIKI) -> bool:
    """Tell whether a session still opens an application, once it can be known that it does not."""
    wait = person.around.world.sparekey.services.settings.forward_auth.revoked_within_ms / 1000
    time.sleep(wait)
    answer = person.ask("/", origin, **SCRIPT)
    assert answer.status_code in {200, 401}
    return answer.status_code == 200


def test_a_reset_ends_the_sessions_of_the_person_and_nobody_elses(around: Around) -> None:
    world = around.world
    world.register("grace", "email")
    thief, grace = signed_in(around), signed_in(around, "grace")
    browser = world.browser()
    page = browser.submit(browser.reset_until_code("bob"), code=world.code("bob.private"))
    browser.submit(page, password=NEW)
    assert not passes(thief)
    assert passes(grace)


def test_signing_out_asks_first_and_then_ends_every_application(around: Around) -> None:
    person = signed_in(around)
    assert person.browser
    ticket = person.to_ticket(redirect_of(person.ask("/", NOTES)), "bob")
    person.ask(ticket.removeprefix(NOTES), NOTES)
    assert passes(person)
    assert passes(person, NOTES)
    visitor = person.browser.visitor
    page = visitor.get(around.world.public + LOGOUT)
    assert passes(person)
    form = next(form for form in forms(page) if urlsplit(form.action).path == LOGOUT)
    left = visitor.post(form.action, form.fields)
    # On to the provider's own sign-out.
    assert urlsplit(left.headers["location"]).path == "/sign-out"
    assert not passes(person)
    assert not passes(person, NOTES)


@pytest.mark.parametrize(
    ("fields", "origin"),
    [({}, ""), ({"csrf_token": "forged"}, ""), ({}, "https://evil.example")],
)
def test_no_other_site_signs_anybody_out(around: Around, fields: dict[str, str], origin: str) -> None:
    person = signed_in(around)
    assert person.browser
    visitor = person.browser.visitor
    if origin:
        visitor.client.headers["Origin"] = origin
        form = forms(visitor.get(around.world.public + LOGOUT))[0]
        fields = dict(form.fields)
    answer = visitor.post(around.world.public + LOGOUT, fields)
    assert answer.status_code in {400, 403}
    # Nor does a page that only names an address: at the gateway, or at the application.
    visitor.get(around.world.public + LOGOUT)
    person.ask("/sparekey/forward-auth/sign-out")
    assert passes(person)


@pytest.mark.parametrize("named", ["sid", "sub"])
def test_the_providers_back_channel_ends_the_session(
    around: Around, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    person = signed_in(around)
    assert passes(person)
    world, services = around.world, around.world.sparekey.services
    key = ECKey.generate_key("P-256", auto_kid=True)
    monkeypatch.setattr(world.sparekey.provider.oidc, "keys", lambda **_again: KeySet([key]))
    now = int(services.clock().timestamp())
    claims = {
        "iss": world.public,
        "aud": services.settings.idp.client_id,
        "iat": now,
        "exp": now + 60,
        "jti": named,
        "events": {LOGOUT_EVENT: {}},
        named: idp_session(person) if named == "sid" else world.identity("bob").subject.id,
    }
    forged = jwt.encode({"alg": "ES256"}, claims, ECKey.generate_key("P-256"))
    true = jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)
    assert around.proxy.post(f"{world.public}/sparekey/oidc/backchannel-logout").status_code == 400
    for token, status, goes_on in ((forged, 400, True), (true, 200, False)):
        answer = around.proxy.post(
            f"{world.public}/sparekey/oidc/backchannel-logout", data={"logout_token": token}
        )
        assert answer.status_code == status
        assert passes(person) is goes_on


def idp_session(person: Direct) -> str:
    """Return the provider's id of a person's session."""
    door = person.around.world.sparekey.door
    assert door
    known = door.known.recall(person.cookies[WIKI].removeprefix("s."), "wiki.example.org")
    assert known
    return known.session.idp_session


def test_who_signs_in_after_somebody_else_in_the_same_browser_ends_theirs(around: Around) -> None:
    person, world = signed_in(around), around.world
    assert person.browser
    world.register("grace", "email")
    visitor = person.browser.visitor
    # Bob's session at the provider is gone, and grace signs in where he was.
    visitor.cookies.pop(("localhost", "/", "demo_idp_session"))
    begun = services_begin(around, person)
    form = forms(visitor.follow(visitor.get(begun)))[0]
    world.clock.forward(milliseconds=1)
    password = world.around.passwords["grace"]
    visitor.follow(visitor.post(form.action, {**form.fields, "username": "grace", "password": password}))
    assert not passes(person)
    assert person.arrive("grace") == f"{WIKI}/"
    assert person.ask("/", **SCRIPT).headers["remote-user"] == "grace"


def services_begin(around: Around, person: Direct) -> str:
    """Return the address of a sign-in to our own pages that this browser began."""
    assert person.browser
    services = around.world.sparekey.services
    secret = person.browser.visitor.cookies["localhost", "/", "sparekey-browser"]
    browser = services.vault.digest(secret, "browser")
    return services.signin.begin("/sparekey/", browser=browser, now=services.clock())


def test_an_ended_session_is_not_begun_again_by_an_older_ticket(around: Around) -> None:
    person = Direct(around)
    ticket = person.to_ticket(redirect_of(person.ask("/")), "bob").removeprefix(WIKI)
    services = around.world.sparekey.services
    subject = around.world.identity("bob").subject
    services.portal_sessions.end_at_provider(subject, subject.source, "", now=services.clock())
    around.world.clock.forward(seconds=1)
    person.ask(ticket)
    assert not passes(person)
