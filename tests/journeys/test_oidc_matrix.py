"""Every kind of OpenID Connect sign-in: held, registered, released with what the relying party asked for.

Keycloak is real, the relying parties are authlib and npm's `openid-client`, everything else is HTTP. The
table of `docs/sign-ins.md` names these rows.
"""

import datetime as dt
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.journeys.keycloak_site import (
    CONSENT,
    JAR,
    POLICY,
    Arrival,
    Site,
    add_client,
    arrival,
    asks_for_consent,
    settled,
)
from tests.servers import keycloak as kc
from tests.servers.authlib_client import AuthlibClient
from tests.servers.openid_client import OpenidClient
from tests.servers.visitor import Visitor, forms

RelyingParty = AuthlibClient | OpenidClient
CREDENTIALS = {"code", "id_token", "access_token"}


@dataclass(frozen=True)
class Row:
    """One kind of sign-in."""

    name: str
    by: str = "authlib"
    client: str = kc.CONFIDENTIAL_APPLICATION
    flow: str = "code"
    send: str = "plain"
    wishes: dict[str, str] = field(default_factory=dict)
    mode: str = "query"
    """By which way the answer has to come."""
    acr: str = "0"
    """`1` is a sign-in with the password, `0` one by the session it began: what Keycloak says of them."""


def of_mode(mode: str, row: Row) -> Row:
    """Return the row with a response mode, named by it."""
    way = mode.removesuffix(".jwt").removesuffix("jwt") or "query"
    return replace(row, name=f"{row.name}{mode}", wishes={**row.wishes, "response_mode": mode}, mode=way)


OPENID = "openid-client"
JARM = Row("", by=OPENID, flow="jarm")
SIGNED = Row("request-object", by=OPENID, client=JAR, send="by_value", acr="1")
AUTH_TIME = json.dumps({"id_token": {"auth_time": {"essential": True}}})
ROWS = (
    Row("code"),
    Row("code-pkce", client=kc.PUBLIC_APPLICATION),
    Row("code-openid-client", by=OPENID),
    *(of_mode(mode, Row("")) for mode in ("query", "fragment", "form_post")),
    *(of_mode(mode, JARM) for mode in ("jwt", "query.jwt", "fragment.jwt", "form_post.jwt")),
    Row("hybrid", by=OPENID, flow="hybrid", mode="fragment"),
    of_mode("form_post", Row("hybrid-", by=OPENID, flow="hybrid")),
    Row("hybrid-authlib", flow="hybrid", wishes={"response_type": "code id_token"}, mode="fragment"),
    Row("implicit", by=OPENID, flow="implicit", mode="fragment"),
    Row("implicit-token", flow="implicit", wishes={"response_type": "id_token token"}, mode="fragment"),
    Row("pushed", by=OPENID, send="pushed", acr="1"),
    SIGNED,
    replace(SIGNED, name="request-object-by-reference", send="by_reference"),
    Row("prompt-login", wishes={"prompt": "login"}, acr="1"),
    Row("prompt-consent", client=CONSENT, wishes={"prompt": "consent"}, acr="1"),
    Row("prompt-select_account", wishes={"prompt": "select_account"}, acr="1"),
    Row("max_age", wishes={"max_age": "3600"}, acr="1"),
    Row("max_age-0", wishes={"max_age": "0"}, acr="1"),
    Row("max_age-openid-client", by=OPENID, wishes={"max_age": "300"}, acr="1"),
    Row("login_hint", wishes={"login_hint": "alice"}),
    Row("claims", wishes={"claims": AUTH_TIME}, acr="1"),
    Row("acr_values", wishes={"acr_values": "1"}, acr="1"),
)
SLOW = ("code", "form_post", "jwt", "implicit", "prompt-login", "prompt-consent", "max_age-0", "claims")
SLOW_ROWS = [row for row in ROWS if row.name.startswith("request-object") or row.name in SLOW]


@pytest.fixture
def parties(authlib_client: AuthlibClient, openid_client: OpenidClient) -> dict[str, RelyingParty]:
    return {"authlib": authlib_client, OPENID: openid_client}


def taken(party: RelyingParty, begun: str, arrived: Arrival) -> dict[str, Any]:
    """Hand an answer to the relying party; return what it verified."""
    answer = party.finish(begun, arrived.url, arrived.form)
    assert "claims" in answer, answer
    return answer


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_it_is_held_and_released_with_what_was_asked_for(
    row: Row, site: Site, visitor: Visitor, parties: dict[str, RelyingParty]
) -> None:
    party = parties[row.by]
    begun, url = party.begin(site.client(row.client), row.flow, row.send, **row.wishes)
    before = int(time.time())
    held = site.signs_in(visitor, url, "alice")
    after = int(time.time()) + 1
    hold_id = site.hold(held)
    site.register("alice")
    arrived = site.arrives(visitor, site.goes_on(visitor, hold_id))
    assert arrived.mode == row.mode
    # State, nonce, issuer, audience, PKCE and signature are verified by the relying party itself.
    answer = taken(party, begun, arrived)
    assert answer["claims"]["sub"] == site.subject("alice")
    assert before <= answer["claims"]["auth_time"] <= after
    assert answer["claims"]["acr"] == row.acr
    if row.flow != "implicit":
        assert party.finish(begun, arrived.url, arrived.form).get("refused") == "invalid_grant"


@pytest.mark.parametrize("row", SLOW_ROWS, ids=[row.name for row in SLOW_ROWS])
def test_registering_may_take_longer_than_a_code_lives(
    row: Row, site: Site, visitor: Visitor, parties: dict[str, RelyingParty]
) -> None:
    party = parties[row.by]
    begun, url = party.begin(site.client(row.client), row.flow, row.send, **row.wishes)
    before = int(time.time())
    hold_id = site.hold(site.signs_in(visitor, url, "alice"))
    after = int(time.time()) + 1
    site.ahead = dt.timedelta(seconds=70)
    site.register("alice")
    arrived = site.arrives(visitor, site.goes_on(visitor, hold_id))
    assert arrived.mode == row.mode
    answer = taken(party, begun, arrived)
    assert before <= answer["claims"]["auth_time"] <= after
    assert answer["claims"]["acr"] == "0"


def test_consent_is_asked_again_rather_than_taken_out_of_a_request(
    site: Site, visitor: Visitor, authlib_client: AuthlibClient
) -> None:
    _, url = authlib_client.begin(site.client(CONSENT), "code", "plain", prompt="consent")
    hold_id = site.hold(site.signs_in(visitor, url, "alice"))
    site.ahead = dt.timedelta(seconds=70)
    site.register("alice")
    assert asks_for_consent(site.stays(visitor, site.goes_on(visitor, hold_id)))
    # Keycloak would not mind: without the parameter it asks nothing (S11 is about the relying party's wish).
    assert "code=" in site.goes_to(visitor, url.replace("&prompt=consent", "")).headers["location"]


@pytest.mark.parametrize("within", ["nothing", "session"])
def test_a_pushed_request_that_is_spent_is_taken_up_again(
    within: str, site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    if within == "session":
        site.register("alice")
        site.signs_in(visitor, openid_client.begin(site.client(), "code", "plain")[1], "alice")
        site.unregister("alice")
    begun, url = openid_client.begin(site.client(), "code", "pushed")
    page = site.goes_to(visitor, url)
    hold_id = site.hold(site.types_password(visitor, page, "alice") if within == "nothing" else page)
    site.ahead = dt.timedelta(seconds=70)
    site.register("alice")
    # Nothing is asked again: state, nonce and challenge are those that were pushed.
    arrived = site.arrives(visitor, site.goes_on(visitor, hold_id))
    assert taken(openid_client, begun, arrived)["claims"]["sub"] == site.subject("alice")
    assert visitor.get(f"{site.public}/sparekey/hold/{hold_id}").status_code == 410


def test_a_pushed_request_for_a_fresh_sign_in_asks_for_the_password_once_more(
    site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    begun, url = openid_client.begin(site.client(), "code", "pushed", prompt="login")
    hold_id = site.hold(site.signs_in(visitor, url, "alice"))
    site.ahead = dt.timedelta(seconds=70)
    site.register("alice")
    page = site.stays(visitor, site.goes_on(visitor, hold_id))
    before = int(time.time())
    arrived = arrival(site.types_password(visitor, page, "alice"))
    claims = taken(openid_client, begun, arrived)["claims"]
    assert claims["acr"] == "1"
    assert claims["auth_time"] >= before


def test_of_two_sign_ins_the_older_spent_one_starts_again_from_the_application(
    site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    _, url = openid_client.begin(site.client(), "code", "pushed")
    page = site.goes_to(visitor, url)
    # Keycloak remembers one request of a browser: from now on, this one.
    site.goes_to(visitor, openid_client.begin(site.client(), "code", "plain")[1])
    hold_id = site.hold(site.types_password(visitor, page, "alice"))
    site.ahead = dt.timedelta(seconds=70)
    site.register("alice")
    answered = site.goes_on(visitor, hold_id)
    assert answered.status_code == 410
    assert "http://127.0.0.1" in answered.text
    begun, url = openid_client.begin(site.client(), "code", "pushed")
    taken(openid_client, begun, arrival(site.goes_to(visitor, url)))


def test_a_request_object_that_is_garbage_signs_nobody_in(
    site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    site.signs_in(visitor, openid_client.begin(site.client(), "code", "plain")[1], "alice")
    # The relying party's server has nothing there, and says so with a page.
    fetched = f"{openid_client.address}/request/nothing"
    page = site.goes_to(visitor, f"{site.endpoints}/auth?client_id={JAR}&request_uri={fetched}")
    assert page.status_code == 400
    assert "location" not in page.headers


def test_an_assurance_that_lapsed_is_proved_anew(
    site: Site, visitor: Visitor, authlib_client: AuthlibClient
) -> None:
    begun, url = authlib_client.begin(site.client(), "code", "plain", acr_values="1")
    hold_id = site.hold(site.signs_in(visitor, url, "alice"))
    site.ahead = dt.timedelta(seconds=70)
    site.register("alice")
    page = site.stays(visitor, site.goes_on(visitor, hold_id))
    arrived = arrival(site.types_password(visitor, page, "alice"))
    assert taken(authlib_client, begun, arrived)["claims"]["acr"] == "1"


def test_a_level_that_counts_once_reaches_the_application(
    site: Site, visitor: Visitor, authlib_client: AuthlibClient
) -> None:
    client_id = add_client_with_levels(site)
    begun, url = authlib_client.begin(site.client(client_id), "code", "plain", acr_values="gold")
    second = site.signs_in(visitor, url, "alice")
    hold_id = site.hold(site.types_password(visitor, second, "alice"))
    site.register("alice")
    arrived = site.arrives(visitor, site.goes_on(visitor, hold_id))
    assert taken(authlib_client, begun, arrived)["claims"]["acr"] == "gold"
    again = site.goes_to(
        visitor, authlib_client.begin(site.client(client_id), "code", "plain", acr_values="gold")[1]
    )
    assert 'name="password"' in again.text


def test_an_action_at_the_provider_is_told_as_done(
    site: Site, visitor: Visitor, authlib_client: AuthlibClient
) -> None:
    begun, url = authlib_client.begin(site.client(), "code", "plain", kc_action="UPDATE_PROFILE")
    page = site.signs_in(visitor, url, "alice")
    form = next(form for form in forms(page) if "firstName" in form.fields)
    hold_id = site.hold(site.stays(visitor, visitor.post(form.action, form.fields)))
    site.register("alice")
    arrived = site.arrives(visitor, site.goes_on(visitor, hold_id))
    assert arrived.parameters["kc_action_status"] == "success"
    taken(authlib_client, begun, arrived)


@pytest.mark.parametrize("send", ["pushed", "by_value", "by_reference"])
def test_rules_for_one_application_know_it_whoever_can_read_the_request(
    send: str, site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    client = site.client(kc.CONFIDENTIAL_APPLICATION if send == "pushed" else JAR)
    site.obey(POLICY.replace("everyone = true", 'everyone = true, clients = ["another"]'))
    begun, url = openid_client.begin(client, "code", send)
    taken(openid_client, begun, arrival(site.signs_in(visitor, url, "alice")))
    begun, url = openid_client.begin(client, "code", send)
    taken(openid_client, begun, arrival(site.goes_to(visitor, url)))
    site.obey(POLICY.replace("everyone = true", f'everyone = true, clients = ["{client["client_id"]}"]'))
    _, url = openid_client.begin(client, "code", send)
    site.hold(site.goes_to(visitor, url))


def add_client_with_levels(site: Site) -> str:
    """Add an application whose second level counts for one sign-in alone; return its client id."""
    name = "levels"
    realm, flow = site.realm, {"type": "basic-flow", "provider": "registration-page-form", "description": ""}
    top = {"alias": name, "providerId": "basic-flow", "topLevel": True, "builtIn": False}
    realm.admin("POST", "/authentication/flows", json=top)
    add = f"/authentication/flows/{name}"
    realm.admin("POST", f"{add}/executions/execution", json={"provider": "auth-cookie"})
    realm.admin("POST", f"{add}/executions/flow", json={"alias": f"{name}-forms", **flow})
    for level, password in ((1, "auth-username-password-form"), (2, "auth-password-form")):
        realm.admin("POST", f"{add}-forms/executions/flow", json={"alias": f"{name}-{level}", **flow})
        for provider in ("conditional-level-of-authentication", password):
            path = f"{add}-{level}/executions/execution"
            realm.admin("POST", path, json={"provider": provider})
    needs = {"auth-cookie": "ALTERNATIVE", f"{name}-forms": "ALTERNATIVE"}
    level = 0
    for execution in realm.admin("GET", f"{add}/executions").json():
        provider = execution.get("providerId")
        known = needs.get(provider) or needs.get(execution["displayName"])
        execution["requirement"] = known or ("REQUIRED" if provider else "CONDITIONAL")
        realm.admin("PUT", f"{add}/executions", json=execution)
        if provider == "conditional-level-of-authentication":
            level += 1
            life = "36000" if level == 1 else "0"
            config = {"loa-condition-level": str(level), "loa-max-age": life}
            path = f"/authentication/executions/{execution['id']}/config"
            realm.admin("POST", path, json={"alias": f"{name}-{level}", "config": config})
    flows = {each["alias"]: each["id"] for each in realm.admin("GET", "/authentication/flows").json()}
    add_client(
        realm,
        name,
        attributes={"acr.loa.map": json.dumps({"silver": 1, "gold": 2})},
        authenticationFlowBindingOverrides={"browser": flows[name]},
    )
    return name


SILENT = (
    *(of_mode(mode, Row("")) for mode in ("query", "fragment", "form_post")),
    Row("implicit", by=OPENID, flow="implicit", mode="fragment"),
    Row("hybrid", by=OPENID, flow="hybrid", mode="fragment"),
    SIGNED,
)


@pytest.mark.parametrize("row", SILENT, ids=[row.name for row in SILENT])
def test_a_silent_request_is_told_that_a_page_is_needed(
    row: Row, site: Site, visitor: Visitor, parties: dict[str, RelyingParty]
) -> None:
    site.hold(site.signs_in(visitor, parties["authlib"].begin(site.client(), "code", "plain")[1], "alice"))
    party = parties[row.by]
    begun, url = party.begin(site.client(row.client), row.flow, row.send, **row.wishes, prompt="none")
    refused = arrival(site.goes_to(visitor, url))
    assert refused.mode == row.mode
    # State and issuer are verified by the relying party itself.
    assert party.finish(begun, refused.url, refused.form)["refused"] == "interaction_required"
    assert not CREDENTIALS & refused.parameters.keys()
    site.register("alice")
    begun, url = party.begin(site.client(row.client), row.flow, row.send, **row.wishes, prompt="none")
    taken(party, begun, arrival(site.goes_to(visitor, url)))


@pytest.mark.parametrize("mode", ["jwt", "fragment.jwt", "form_post.jwt"])
def test_only_the_provider_can_sign_a_refusal(
    mode: str, site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    _, url = openid_client.begin(site.client(), "code", "plain")
    site.hold(site.signs_in(visitor, url, "alice"))
    wishes = {"response_mode": mode, "prompt": "none"}
    begun, url = openid_client.begin(site.client(), "jarm", "plain", **wishes)
    refused = arrival(site.goes_to(visitor, url))
    assert openid_client.finish(begun, refused.url, refused.form)["refused"] == "login_required"
    assert settled(refused.parameters["response"]).keys().isdisjoint(CREDENTIALS)
    site.register("alice")
    begun, url = openid_client.begin(site.client(), "jarm", "plain", **wishes)
    taken(openid_client, begun, arrival(site.goes_to(visitor, url)))


@pytest.mark.parametrize("send", ["pushed", "by_reference"])
def test_a_silent_request_that_only_the_provider_can_read_is_told_by_its_frame(
    send: str, site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    client = site.client(JAR if send == "by_reference" else kc.CONFIDENTIAL_APPLICATION)
    _, url = openid_client.begin(site.client(), "code", "plain")
    site.hold(site.signs_in(visitor, url, "alice"))
    begun, url = openid_client.begin(client, "code", send, prompt="none")
    visitor.headers["Sec-Fetch-Dest"] = "iframe"
    refused = arrival(site.goes_to(visitor, url))
    assert openid_client.finish(begun, refused.url)["refused"] == "interaction_required"


def test_nobody_signed_in_is_still_the_providers_answer(
    site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    for flow, wishes in (("code", {}), ("jarm", {"response_mode": "jwt"})):
        begun, url = openid_client.begin(site.client(), flow, "plain", prompt="none", **wishes)
        refused = arrival(site.goes_to(visitor, url))
        assert openid_client.finish(begun, refused.url)["refused"] == "login_required"
