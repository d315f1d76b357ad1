"""Sign-ins without a browser: what the token endpoint answers for somebody who is not covered."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import httpx
import pytest

from gateway.interception.token_grant import BACKCHANNEL, DEVICE
from gateway.plane.verdict import Asked, Pass
from idp_plugin.base import Exchange
from store.errors import StoreUnavailable
from tests.journeys.keycloak_site import PASSWORD, POLICY, Site, add_client, arrival, change_client
from tests.servers import keycloak as kc
from tests.servers.authlib_client import AuthlibClient
from tests.servers.openid_client import OpenidClient
from tests.servers.visitor import Visitor

ABOUT_TOKENS = POLICY.replace('name = "Everybody"', 'name = "Tokens"').replace(
    "everyone = true", 'everyone = true, protocols = ["token"]'
)
TOKENS_LEFT_ALONE = ABOUT_TOKENS + "required = false\n" + POLICY


def asks_with_password(site: Site, openid_client: OpenidClient, username: str = "alice", **more: str) -> Any:
    """Make a password grant."""
    credentials = {"username": username, "password": PASSWORD.format(username), "scope": "openid", **more}
    return openid_client.grant(site.client(), "password", **credentials)


def sessions_of(site: Site, username: str) -> int:
    return len(site.realm.admin("GET", f"/users/{site.subject(username)}/sessions").json())


def signed_in(site: Site, visitor: Visitor, party: AuthlibClient, **wishes: str) -> dict[str, Any]:
    """Sign in a person who is covered; return the tokens."""
    site.register("alice")
    begun, url = party.begin(site.client(), "code", "plain", **wishes)
    arrived = arrival(site.signs_in(visitor, url, "alice"))
    return party.finish(begun, arrived.url)["tokens"]


def test_a_password_grant_of_somebody_uncovered_is_refused_with_a_link(
    site: Site, openid_client: OpenidClient
) -> None:
    before = sessions_of(site, "alice")
    refused = asks_with_password(site, openid_client)
    assert (refused["refused"], refused["status"]) == ("interaction_required", 400)
    assert refused["error_uri"] == f"{site.public}/sparekey/"
    assert "register" in refused["description"]
    assert sessions_of(site, "alice") == before
    site.register("alice")
    released = asks_with_password(site, openid_client)
    assert released["claims"]["sub"] == site.subject("alice")
    assert sessions_of(site, "alice") == before + 1


def test_a_wrong_password_is_still_the_providers_answer(site: Site, openid_client: OpenidClient) -> None:
    refused = asks_with_password(site, openid_client, password="wrong")
    assert refused["refused"] == "invalid_grant"
    assert not refused["error_uri"]


def test_tokens_that_name_nobody_are_asked_about(site: Site) -> None:
    lightweight = "application-with-light-tokens"
    light = {"client.use.lightweight.access.token.enabled": "true"}
    add_client(site.realm, lightweight, attributes=light, directAccessGrantsEnabled=True)
    form = {"grant_type": "password", "username": "bob", "password": PASSWORD.format("bob")}
    answer = _posted(site, form, client=lightweight)
    assert answer.status_code == 400
    assert answer.json()["error"] == "interaction_required"
    site.register("bob")
    assert "access_token" in _posted(site, form, client=lightweight).json()


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [(TOKENS_LEFT_ALONE, "released"), (POLICY + "report_only = true\n", "released"), (POLICY, "refused")],
    ids=["release", "report", "refuse"],
)
def test_the_policy_says_what_becomes_of_it(
    policy: str, outcome: str, site: Site, openid_client: OpenidClient
) -> None:
    site.obey(policy)
    answer = asks_with_password(site, openid_client)
    assert ("claims" in answer) is (outcome == "released")


def test_refreshing_is_left_alone_unless_a_rule_names_it(
    site: Site, visitor: Visitor, authlib_client: AuthlibClient, openid_client: OpenidClient
) -> None:
    refresh = {"refresh_token": signed_in(site, visitor, authlib_client)["refresh_token"]}
    site.unregister("alice")
    left_alone = openid_client.grant(site.client(), "refresh_token", **refresh)
    assert "tokens" in left_alone
    site.obey(ABOUT_TOKENS.replace("everyone = true", f'subjects = ["{site.subject("bob")}"]') + POLICY)
    assert "tokens" in openid_client.grant(site.client(), "refresh_token", **refresh)
    site.obey(ABOUT_TOKENS)
    refused = openid_client.grant(site.client(), "refresh_token", **refresh)
    assert refused["refused"] == "invalid_grant"
    assert refused["error_uri"] == f"{site.public}/sparekey/"
    site.register("alice")
    assert "tokens" in openid_client.grant(site.client(), "refresh_token", **refresh)


def test_a_device_is_told_and_may_begin_again(
    site: Site, visitor: Visitor, openid_client: OpenidClient
) -> None:
    refused = _device_signs_in(site, visitor, openid_client)
    assert refused["refused"] == "access_denied"
    site.register("alice")
    assert _device_signs_in(site, Visitor(), openid_client)["claims"]["sub"] == site.subject("alice")


def _device_signs_in(site: Site, visitor: Visitor, openid_client: OpenidClient) -> dict[str, Any]:
    begun = openid_client.device(site.client(), scope="openid")
    page = visitor.follow(visitor.get(begun["verification_uri_complete"]))
    page = visitor.submit(page, username="alice", password=PASSWORD.format("alice"))
    page = visitor.submit(page, accept="Yes")
    assert "device/status" in str(page.url)
    return openid_client.grant(site.client(), DEVICE, device_code=begun["device_code"])


def test_clients_and_exchanged_tokens_pass(site: Site, openid_client: OpenidClient) -> None:
    itself = openid_client.grant(site.client(), "client_credentials")
    assert "access_token" in itself["tokens"]
    change_client(
        site.realm, kc.CONFIDENTIAL_APPLICATION, attributes={"standard.token.exchange.enabled": "true"}
    )
    site.register("alice")
    token = asks_with_password(site, openid_client)["tokens"]["access_token"]
    site.unregister("alice")
    exchanged = openid_client.grant(
        site.client(),
        "urn:ietf:params:oauth:grant-type:token-exchange",
        subject_token=token,
        subject_token_type="urn:ietf:params:oauth:token-type:access_token",
    )
    assert "access_token" in exchanged["tokens"]


def examined(site: Site, grant: str, tokens: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Have an answer of the token endpoint examined as if it came from Keycloak; status and JSON."""
    target = f"/realms/{site.realm.name}/protocol/openid-connect/token".encode()
    fields = ((b"Content-Type", b"application/x-www-form-urlencoded"),)
    asked = Asked(b"POST", target, fields, "192.0.2.7")
    exchange = Exchange(
        asked.method,
        target,
        fields,
        f"grant_type={grant}&auth_req_id=x".encode(),
        200,
        ((b"Content-Type", b"application/json"),),
        json.dumps(tokens).encode(),
    )
    verdict = asyncio.run(site.sparekey.intercepting.interceptor.examine(asked, exchange))
    if isinstance(verdict, Pass):
        return 200, tokens
    return verdict.status, json.loads(verdict.body)


def issued(site: Site, username: str) -> dict[str, Any]:
    """Return tokens that did not come through the gateway."""
    form = {"grant_type": "password", "username": username, "password": PASSWORD.format(username)}
    address = site.endpoints.replace(site.public, site.realm.keycloak.address)
    secret = (kc.CONFIDENTIAL_APPLICATION, kc.APPLICATION_SECRET)
    answer = httpx.post(f"{address}/token", data={**form, "scope": "openid"}, auth=secret, trust_env=False)
    return answer.raise_for_status().json()


@pytest.mark.parametrize(
    "grant", ["password", "urn:ietf:params:oauth:grant-type:jwt-bearer", "unheard-of", ""]
)
def test_a_grant_that_nobody_knows_is_asked_about(grant: str, site: Site) -> None:
    status, said = examined(site, grant, issued(site, "alice"))
    assert (status, said["error"]) == (400, "interaction_required")


def test_a_token_that_anybody_could_make_names_nobody(site: Site) -> None:
    site.register("bob")
    alices, bobs = issued(site, "alice"), issued(site, "bob")
    head, _, signature = alices["access_token"].split(".")
    forged = f"{head}.{bobs['access_token'].split('.')[1]}.{signature}"
    status, said = examined(site, "password", {"access_token": forged})
    assert (status, said["error"]) == (400, "invalid_grant")
    assert examined(site, "password", bobs)[0] == 200


def test_an_outage_that_only_this_request_meets_gives_no_tokens(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_args: object, **_more: object) -> None:
        raise StoreUnavailable("database")

    tokens = issued(site, "alice")
    monkeypatch.setattr(site.sparekey.services.gate, "ask", fails)
    status, said = examined(site, "password", tokens)
    assert (status, said["error"]) == (503, "temporarily_unavailable")


class Channel(BaseHTTPRequestHandler):
    """Where Keycloak asks for a person's consent; it notes how to answer."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.headers["Authorization"])
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def channel(site: Site) -> Iterator[Callable[[], None]]:
    """Call to have the person say yes."""
    with HTTPServer(("127.0.0.1", site.realm.keycloak.channel_port), Channel) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def says_yes() -> None:
            headers = {"Authorization": Channel.asked.pop()}
            path = f"{site.endpoints}/ext/ciba/auth/callback"
            answer = httpx.post(path, json={"status": "SUCCEED"}, headers=headers, trust_env=False)
            assert answer.status_code == 200

        yield says_yes
        server.shutdown()
        thread.join()


def test_a_sign_in_on_another_channel_is_told_and_its_session_ends(
    site: Site, channel: Callable[[], None]
) -> None:
    def signs_in() -> httpx.Response:
        begun = _posted(site, {"scope": "openid", "login_hint": "alice"}, path="/ext/ciba/auth")
        channel()
        return _posted(site, {"grant_type": BACKCHANNEL, "auth_req_id": begun.json()["auth_req_id"]})

    before = sessions_of(site, "alice")
    refused = signs_in()
    assert (refused.status_code, refused.json()["error"]) == (400, "access_denied")
    assert refused.json()["error_uri"] == f"{site.public}/sparekey/"
    assert sessions_of(site, "alice") == before
    site.register("alice")
    assert "access_token" in signs_in().json()


FORM = "application/x-www-form-urlencoded"


WRITTEN = {
    "plain": ("/token", "grant_type=password", FORM),
    "a slash more": ("/token/", "grant_type=password", FORM),
    "another in the query": ("/token?grant_type=authorization_code", "grant_type=password", FORM),
    "a semicolon": ("/token", "grant_type=authorization_code;&grant_type=password", FORM),
    "another after it": ("/token", "grant_type=password&grant_type=authorization_code", FORM),
    "another before it": ("/token", "grant_type=authorization_code&grant_type=password", FORM),
    "escaped": ("/token", "%67rant_type=password", FORM),
    "another charset": ("/token", "grant_type=password", f"{FORM};charset=utf-16"),
    "too long to keep": ("/token", "grant_type=password&padding=" + "x" * 70_000, FORM),
}


@pytest.mark.parametrize(("path", "body", "kind"), WRITTEN.values(), ids=WRITTEN)
def test_no_way_of_writing_a_grant_passes_the_gate(path: str, body: str, kind: str, site: Site) -> None:
    said = f"&username=alice&password={PASSWORD.format('alice').replace('!', '%21')}&scope=openid"
    answer = httpx.post(
        site.endpoints + path,
        content=body + said,
        headers={"Content-Type": kind},
        auth=(kc.CONFIDENTIAL_APPLICATION, kc.APPLICATION_SECRET),
        trust_env=False,
        timeout=30,
    )
    assert "access_token" not in answer.text
    assert answer.status_code >= 400


def test_what_a_grant_names_is_verified(site: Site, openid_client: OpenidClient) -> None:
    # Whoever is covered lends nobody his name: the tokens say who it is, not the request.
    site.register("bob")
    refused = asks_with_password(site, openid_client, login_hint="bob", sub=site.subject("bob"))
    assert refused["refused"] == "interaction_required"


def test_an_application_in_a_browser_may_read_the_refusal(site: Site) -> None:
    change_client(site.realm, kc.CONFIDENTIAL_APPLICATION, webOrigins=["https://page.example.org"])
    form = {"grant_type": "password", "username": "alice", "password": PASSWORD.format("alice")}
    answer = _posted(site, form, headers={"Origin": "https://page.example.org"})
    assert answer.json()["error"] == "interaction_required"
    assert answer.headers["access-control-allow-origin"] == "https://page.example.org"


def _posted(
    site: Site,
    form: dict[str, str],
    *,
    path: str = "/token",
    client: str = kc.CONFIDENTIAL_APPLICATION,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    secret = (client, kc.APPLICATION_SECRET)
    return httpx.post(
        site.endpoints + path, data=form, auth=secret, headers=headers, trust_env=False, timeout=30
    )
