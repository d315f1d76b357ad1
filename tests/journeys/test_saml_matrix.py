"""Every kind of SAML sign-in through Sparekey before a real Keycloak; mod_auth_mellon judges what arrives."""

import dataclasses
import datetime as dt
import re

import httpx
import pytest

from gateway.interception.sign_in_metrics import SESSION_MISSES
from tests.journeys.keycloak_site import PASSWORD, Site
from tests.journeys.saml_party import SamlArrival, SamlParty, register_party, saml_arrival
from tests.servers.mellon import KeyPair, Mellon, StartMellon, registration
from tests.servers.visitor import Visitor


@pytest.fixture(scope="module")
def post_party(keycloak_site: Site) -> SamlParty:
    return register_party(keycloak_site.realm, "urn:example:post")


@pytest.fixture(scope="module")
def redirect_party(keycloak_site: Site) -> SamlParty:
    return register_party(keycloak_site.realm, "urn:example:redirect", binding="HTTP-Redirect")


@pytest.fixture(scope="module")
def artifact_party(keycloak_site: Site) -> SamlParty:
    return register_party(keycloak_site.realm, "urn:example:artifact", binding="HTTP-Artifact")


def at_home(site: Site, start_mellon: StartMellon, **how: str) -> Mellon:
    """Start mod_auth_mellon and make it known."""
    metadata = httpx.get(f"{site.realm.issuer}/protocol/saml/descriptor", trust_env=False).text
    application = start_mellon(metadata, **how)
    site.realm.admin("POST", "/clients", json=registration(application))
    return application


def carried(visitor: Visitor, answer: httpx.Response) -> httpx.Response:
    """Go wherever the browser is sent, by redirect or by a form that submits itself."""
    for _ in range(4):
        answer = visitor.follow(answer)
        is_form = answer.status_code == 200 and re.search(r"submit\(\)|data-carries-on", answer.text)
        if not is_form:
            return answer
        answer = visitor.submit(answer)
    raise AssertionError(str(answer.url))


def held_then_released(site: Site, visitor: Visitor, answer: httpx.Response) -> httpx.Response:
    """See that an answer is held, register, and press the button."""
    hold_id = site.hold(answer)
    site.register("alice")
    return site.goes_on(visitor, hold_id)


def arrives(site: Site, visitor: Visitor, answer: httpx.Response) -> SamlArrival:
    """Go on within the provider, and return what a relying party gets."""
    while answer.status_code == 200 and "data-carries-on" in answer.text:
        answer = visitor.submit(answer)
    return saml_arrival(site.stays(visitor, answer))


def first_page(visitor: Visitor, answer: httpx.Response) -> httpx.Response:
    """Go to the sign-in page, through the form of an application that posts its request."""
    answer = visitor.follow(answer)
    return visitor.submit(answer) if 'name="SAMLRequest"' in answer.text else answer


@pytest.mark.parametrize("asks_by", ["HTTP-Redirect", "HTTP-POST"])
def test_mellon_takes_the_assertion_exactly_where_the_person_was_going(
    site: Site, visitor: Visitor, mellon: StartMellon, asks_by: str
) -> None:
    application = at_home(site, mellon, asks_by=asks_by)
    wanted = application.page(f"reports?week=7&{'x' * 200}")
    page = first_page(visitor, visitor.get(wanted))
    answer = site.types_password(visitor, page, "alice")
    arrived = carried(visitor, held_then_released(site, visitor, answer))
    assert arrived.status_code == 200, application.log()
    assert str(arrived.url) == wanted
    assert arrived.headers["x-signed-in"] == "alice"


def test_mellon_takes_what_began_at_the_identity_provider(
    site: Site, visitor: Visitor, mellon: StartMellon
) -> None:
    application = at_home(site, mellon)
    wanted = application.page("reports")
    begins = f"{site.realm.issuer}/protocol/saml/clients/mellon{application.port}?RelayState={wanted}"
    answer = site.types_password(visitor, visitor.get(begins), "alice")
    arrived = carried(visitor, held_then_released(site, visitor, answer))
    assert (str(arrived.url), arrived.headers.get("x-signed-in")) == (wanted, "alice"), application.log()


def test_an_answer_by_redirect_is_held_and_comes_again(
    site: Site, visitor: Visitor, redirect_party: SamlParty
) -> None:
    asked = redirect_party.asks()
    answer = site.signs_in(visitor, asked.address, "alice")
    arrived = arrives(site, visitor, held_then_released(site, visitor, answer))
    assert (arrived.in_response_to, arrived.statuses) == (asked.id, ["Success"])
    assert arrived.fields["RelayState"] == asked.relay_state


@pytest.mark.parametrize("length", [80, 81, 2000])
def test_relay_states_of_every_length_arrive_as_they_were(
    site: Site, visitor: Visitor, post_party: SamlParty, length: int
) -> None:
    asked = post_party.asks(("r&+ %é" * length)[:length])
    page = site.stays(visitor, visitor.post(asked.endpoint, asked.form))
    answer = site.types_password(visitor, page, "alice")
    arrived = arrives(site, visitor, held_then_released(site, visitor, answer))
    assert (arrived.in_response_to, arrived.statuses) == (asked.id, ["Success"])
    assert arrived.fields["RelayState"] == asked.relay_state


def test_a_request_posted_within_a_session_is_held_and_posted_again(
    site: Site, visitor: Visitor, post_party: SamlParty
) -> None:
    site.register("alice")
    site.signs_in(visitor, post_party.asks().address, "alice")
    site.unregister("alice")
    asked = post_party.asks("second")
    answer = site.stays(visitor, visitor.post(asked.endpoint, asked.form))
    arrived = arrives(site, visitor, held_then_released(site, visitor, answer))
    assert (arrived.in_response_to, arrived.fields["RelayState"]) == (asked.id, "second")


def test_a_forced_sign_in_is_delivered_as_it_was(site: Site, visitor: Visitor, post_party: SamlParty) -> None:
    site.register("alice")
    site.signs_in(visitor, post_party.asks().address, "alice")
    site.unregister("alice")
    asked = post_party.asks(ForceAuthn="true")
    answer = site.signs_in(visitor, asked.address, "alice")
    released = held_then_released(site, visitor, answer)
    assert (released.status_code, saml_arrival(released).in_response_to) == (200, asked.id)
    assert saml_arrival(released).statuses == ["Success"]


def test_a_forced_sign_in_that_waited_too_long_is_forced_again(
    site: Site, visitor: Visitor, post_party: SamlParty
) -> None:
    asked = post_party.asks(ForceAuthn="true")
    hold_id = site.hold(site.signs_in(visitor, asked.address, "alice"))
    site.register("alice")
    site.ahead = dt.timedelta(minutes=2)
    try:
        page = site.stays(visitor, site.goes_on(visitor, hold_id))
    finally:
        site.ahead = dt.timedelta(0)
    arrived = saml_arrival(site.types_password(visitor, page, "alice"))
    assert (arrived.in_response_to, arrived.statuses) == (asked.id, ["Success"])


@pytest.mark.parametrize("way", ["redirect", "post"])
def test_a_passive_request_of_an_uncovered_person_is_refused_by_the_identity_provider(
    site: Site, visitor: Visitor, post_party: SamlParty, way: str
) -> None:
    site.register("alice")
    site.signs_in(visitor, post_party.asks().address, "alice")
    site.unregister("alice")
    asked = post_party.asks(IsPassive="true")
    sent = visitor.get(asked.address) if way == "redirect" else visitor.post(asked.endpoint, asked.form)
    refused = saml_arrival(site.stays(visitor, sent))
    assert refused.statuses == ["Responder", "NoPassive"]
    assert "Assertion" not in refused.document
    assert refused.fields["RelayState"] == asked.relay_state
    # The session is as it was: a person who looks is asked to register, and then goes on.
    asked = post_party.asks()
    arrived = arrives(site, visitor, held_then_released(site, visitor, visitor.get(asked.address)))
    assert arrived.in_response_to == asked.id


def test_passive_requests_of_covered_people_and_of_nobody_pass(
    site: Site, visitor: Visitor, post_party: SamlParty
) -> None:
    assert saml_arrival(visitor.get(post_party.asks(IsPassive="true").address)).statuses[-1] == "NoPassive"
    site.register("alice")
    site.signs_in(visitor, post_party.asks().address, "alice")
    asked = post_party.asks(IsPassive="1")
    passed = saml_arrival(visitor.get(asked.address))
    assert (passed.in_response_to, passed.statuses) == (asked.id, ["Success"])


def test_an_artifact_is_held_and_a_new_one_fetches_the_assertion(
    site: Site, visitor: Visitor, artifact_party: SamlParty
) -> None:
    asked = artifact_party.asks()
    answer = site.signs_in(visitor, asked.address, "alice")
    arrived = arrives(site, visitor, held_then_released(site, visitor, answer))
    fetched = artifact_party.fetches(arrived.fields["SAMLart"])
    assert (fetched.in_response_to, fetched.statuses) == (asked.id, ["Success", "Success"])
    assert arrived.fields["RelayState"] == asked.relay_state


def test_an_artifact_is_no_way_around_within_a_session(
    site: Site, visitor: Visitor, artifact_party: SamlParty
) -> None:
    site.register("alice")
    site.signs_in(visitor, artifact_party.asks().address, "alice")
    site.unregister("alice")
    assert site.hold(visitor.get(artifact_party.asks("again").address))


def test_rules_see_the_relying_party_and_the_protocol(
    site: Site, visitor: Visitor, post_party: SamlParty
) -> None:
    hold_id = site.hold(site.signs_in(visitor, post_party.asks().address, "alice"))
    secret = next(value for (_, _, name), value in visitor.cookies.items() if name.endswith(hold_id))
    sign_in = site.sparekey.services.holds.read(hold_id, secret).sign_in
    assert (sign_in.client_id, sign_in.protocol) == (post_party.entity_id, "saml")
    assert sign_in.verified_by == "session_cookie"


def test_a_request_under_the_id_of_another_ones_changes_no_rule(
    site: Site, visitor: Visitor, post_party: SamlParty, redirect_party: SamlParty
) -> None:
    asked, beside = post_party.asks(), redirect_party.asks()
    forged = dataclasses.replace(beside, document=beside.document.replace(beside.id, asked.id))
    page = visitor.get(asked.address)
    assert visitor.get(forged.address).status_code == 200
    hold_id = site.hold(site.types_password(visitor, page, "alice"))
    secret = next(value for (_, _, name), value in visitor.cookies.items() if name.endswith(hold_id))
    held = site.sparekey.services.holds.read(hold_id, secret)
    assert held.sign_in.client_id == post_party.entity_id
    assert held.target.partition("\n")[0] == asked.address.removeprefix(site.public)


def test_an_encrypted_assertion_is_held_and_its_person_asked_for(
    site: Site, visitor: Visitor, mellon_keys: KeyPair
) -> None:
    party = register_party(
        site.realm,
        "urn:example:encrypted",
        **{"saml.encrypt": "true", "saml.encryption.certificate": mellon_keys.certificate},
    )
    asked = party.asks()
    answer = site.signs_in(visitor, asked.address, "alice")
    hold_id = site.hold(answer)
    secret = next(value for (_, _, name), value in visitor.cookies.items() if name.endswith(hold_id))
    sign_in = site.sparekey.services.holds.read(hold_id, secret).sign_in
    assert (sign_in.verified_by, sign_in.client_id) == ("silent_check", party.entity_id)
    site.register("alice")
    arrived = arrives(site, visitor, site.goes_on(visitor, hold_id))
    assert arrived.in_response_to == asked.id
    assert "EncryptedAssertion" in arrived.document


def test_an_answer_whose_request_nobody_saw_starts_again_at_the_application_once_it_is_old(
    site: Site, visitor: Visitor, post_party: SamlParty
) -> None:
    page = visitor.get(post_party.asks().address)
    del visitor.cookies["127.0.0.1", "/", "sparekey-requests"]
    hold_id = site.hold(site.types_password(visitor, page, "alice"))
    site.register("alice")
    site.ahead = dt.timedelta(minutes=2)
    try:
        assert site.goes_on(visitor, hold_id).status_code == 410
    finally:
        site.ahead = dt.timedelta(0)


@pytest.mark.parametrize("covered", [False, True])
def test_a_client_without_a_browser_is_refused(site: Site, covered: bool) -> None:
    party = register_party(
        site.realm, f"urn:example:ecp-{covered}", binding="PAOS", **{"saml.allow.ecp.flow": "true"}
    )
    if covered:
        site.register("bob")
    before = SESSION_MISSES._value.get()
    answer = party.asks_without_a_browser(("bob", PASSWORD.format("bob")))
    assert (answer.status_code, "Assertion" in answer.text) == (403, False)
    assert SESSION_MISSES._value.get() == before + 1


def test_signing_out_by_saml_passes(site: Site, visitor: Visitor, mellon: StartMellon) -> None:
    application = at_home(site, mellon)
    site.register("alice")
    page = first_page(visitor, visitor.get(application.page()))
    arrived = carried(visitor, site.types_password(visitor, page, "alice"))
    assert arrived.headers.get("x-signed-in") == "alice", application.log()
    out = carried(
        visitor, visitor.get(f"{application.address}/mellon/logout?ReturnTo={application.address}/")
    )
    assert out.status_code == 200, out.text[-500:]
    assert "x-signed-in" not in out.headers
