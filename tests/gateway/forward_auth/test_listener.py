"""The address at which proxies ask, asked by an attacker who reaches it, or reaches a proxy."""

import socket
import time
from typing import Never

import httpx
import pytest
import redis

from gateway.forward_auth.settings import ForwardAuthSettings
from tests.gateway.forward_auth.around import NAVIGATION, NOTES, SCRIPT, WIKI, Around
from tests.gateway.forward_auth.direct import Direct, redirect_of, signed_in

COOKIE = "__Host-sparekey-application"
STATED = b"\r\n".join(
    (
        b"GET /sparekey/auth HTTP/1.1",
        b"X-Forwarded-Host: notes.example.org",
        b"X-Forwarded-Uri: /",
        b"X-Forwarded-Method: GET",
        b"",
        b"",
    )
)


def test_a_person_who_is_known_passes_and_is_named(around: Around) -> None:
    person = signed_in(around)
    answer = person.ask("/a")
    assert answer.status_code == 200
    told = {name: answer.headers[f"remote-{name}"] for name in ("user", "name", "email", "groups")}
    assert told == {"user": "bob", "name": "Bob Baker", "email": "bob@example.org", "groups": "staff"}


def test_what_opens_one_application_opens_no_other(around: Around) -> None:
    person = signed_in(around)
    thief = Direct(around, {NOTES: person.cookies[WIKI]})
    assert thief.ask("/", origin=NOTES, **SCRIPT).status_code == 401
    # Nor once the session is known here.
    assert person.ask("/", **SCRIPT).status_code == 200
    assert thief.ask("/", origin=NOTES, **SCRIPT).status_code == 401


def test_of_two_cookies_none_is_believed(around: Around) -> None:
    # Another host below the same domain can plant one beside it, where no prefix of the name forbids that.
    person = signed_in(around)
    value = person.cookies[WIKI]
    for cookies in (f"{COOKIE}={value}; {COOKIE}=s.mallory", f"{COOKIE}=s.mallory; {COOKIE}={value}"):
        answer = around.ask("x_forwarded", **person.stated("/"), **SCRIPT, Cookie=cookies)
        assert answer.status_code == 401


def test_a_session_id_that_was_planted_never_becomes_somebodys(around: Around) -> None:
    planted = "s.planted-by-mallory"
    person = Direct(around, {WIKI: planted})
    assert person.arrive("bob").startswith(WIKI)
    assert person.cookies[WIKI] not in {planted, ""}
    assert Direct(around, {WIKI: planted}).ask("/", **SCRIPT).status_code == 401


def test_a_nonce_opens_nothing(around: Around) -> None:
    person = Direct(around)
    person.ask("/")
    nonce = person.cookies[WIKI]
    assert nonce.startswith("n.")
    for guess in (nonce, "s." + nonce[2:]):
        assert Direct(around, {WIKI: guess}).ask("/", **SCRIPT).status_code == 401


def test_nobody_but_listed_proxies_may_ask(around: Around) -> None:
    port = around.listeners["x_forwarded"].port
    # The same machine by another of its addresses.
    with socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)) as stranger:
        stranger.sendall(b"GET /sparekey/auth HTTP/1.1\r\nHost: wiki.example.org\r\n\r\n")
        assert stranger.recv(4096).startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    "stated",
    [
        {},
        {"X_Forwarded_Host": "wiki.example.org", "X_Forwarded_Method": "GET"},
        {"X_Forwarded_Host": "wiki.example.org", "X_Forwarded_Uri": "/"},
        {"X_Forwarded_Host": "wiki.example.org", "X_Forwarded_Uri": "x", "X_Forwarded_Method": "GET"},
        {"X_Original_URL": f"{WIKI}/", "X_Original_Method": "GET"},
    ],
)
def test_what_is_not_stated_in_the_proxys_own_way_is_refused(around: Around, stated: dict[str, str]) -> None:
    assert around.ask("x_forwarded", **stated).status_code == 400


def test_a_proxy_is_believed_in_its_own_way_alone(around: Around) -> None:
    person = signed_in(around)
    ours = {"X_Forwarded_Host": "notes.example.org", "X_Forwarded_Uri": "/", "X_Forwarded_Method": "GET"}
    stated = {"X_Original_URL": f"{WIKI}/", "X_Original_Method": "GET"}
    cookie = {"Cookie": f"{COOKIE}={person.cookies[WIKI]}"}
    assert around.ask("x_original", **stated, **ours, **cookie, **SCRIPT).status_code == 200
    assert around.ask("x_forwarded", **stated, **ours, **cookie, **SCRIPT).status_code == 401


@pytest.mark.parametrize(
    "host",
    [
        "wiki.example.org.",
        "wiki.example.org:8443",
        "wiki.example.org@notes.example.org",
        "wiki.example.org, notes.example.org",
        "wiki.example.org/",
        "localhost",
    ],
)
def test_a_host_that_is_not_listed_is_refused(around: Around, host: str) -> None:
    person = signed_in(around)
    stated = person.stated("/") | {"X_Forwarded_Host": host}
    assert around.ask("x_forwarded", **stated, **person.sent(WIKI)).status_code == 403


def test_a_host_is_found_by_any_of_its_spellings(around: Around) -> None:
    person = signed_in(around)
    for host in ("WIKI.example.org", "wiki.example.org:443"):
        stated = person.stated("/") | {"X_Forwarded_Host": host}
        assert around.ask("x_forwarded", **stated, **person.sent(WIKI)).status_code == 200


@pytest.mark.parametrize(
    "request_head",
    [
        STATED.replace(b"Host:", b"Host: wiki.example.org\r\nX-Forwarded-Host:"),
        STATED.replace(b"Uri:", b"Uri: /a\r\nX-Forwarded-Uri:"),
        STATED[:-2] + b"Content-Length: 5\r\n\r\nGET /",
        STATED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /sparekey/auth HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
        b"GET /sparekey/auth/x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /sparekey/authority HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_question_that_two_may_read_differently_is_refused(around: Around, request_head: bytes) -> None:
    with socket.create_connection(("127.0.0.1", around.listeners["x_forwarded"].port)) as connection:
        connection.sendall(request_head)
        status = connection.recv(4096).split(b" ")[1]
        assert status in {b"400", b"404"}
        # And nothing after it is read.
        connection.settimeout(10)
        while connection.recv(4096):
            pass


def test_nothing_public_leads_there(around: Around) -> None:
    public = around.world.public
    stated = {"X-Forwarded-Host": "wiki.example.org", "X-Forwarded-Uri": "/", "X-Forwarded-Method": "GET"}
    answer = httpx.get(f"{public}/sparekey/auth", headers=stated, trust_env=False)
    assert answer.status_code == 404
    assert "remote-user" not in answer.headers


@pytest.mark.parametrize("address", ["0.0.0.0:9091", "[::]:9091", "9.9.9.9:9091", "127.0.0.1", "here:9091"])
def test_the_settings_refuse_an_address_that_may_be_public(address: str) -> None:
    with pytest.raises(ValueError, match="must be a loopback or private address"):
        ForwardAuthSettings(listen=address)


@pytest.mark.parametrize(
    "origin", ["http://wiki.example.org", "https://a@wiki.example.org", "https://wiki.example.org/x", "wiki"]
)
def test_the_settings_refuse_what_is_no_safe_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        ForwardAuthSettings(applications=(origin,))


def test_a_session_is_over_after_its_time_and_comes_again_without_a_page(around: Around) -> None:
    person = signed_in(around)
    around.world.clock.forward(minutes=11)
    assert person.ask("/", **SCRIPT).status_code == 401
    assert person.arrive("bob", "/again") == f"{WIKI}/again"
    assert person.ask("/", **SCRIPT).status_code == 200


def gone(*_command: object, **_options: object) -> Never:
    """Answer as the client does while there is no server."""
    raise redis.ConnectionError("refused")


def test_while_the_store_is_down_nobody_new_passes_and_others_as_their_rule_says(around: Around) -> None:
    person, stranger = signed_in(around), Direct(around, {WIKI: "s.unknown"})
    late = signed_in(around)
    heidi = signed_in(around, "heidi")
    assert [each.ask("/", **SCRIPT).status_code for each in (person, heidi)] == [200, 200]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(around.world.sparekey.services.expiring.client, "execute_command", gone)
        time.sleep(around.world.sparekey.services.settings.forward_auth.revoked_within_ms / 1000)
        # The rule for the staff denies while nobody can be asked; heidi is under none.
        assert person.ask("/", **SCRIPT).status_code == 503
        assert heidi.ask("/", **SCRIPT).headers["remote-user"] == "heidi"
        elsewhere = Direct(around, {NOTES: heidi.cookies[WIKI]})
        assert elsewhere.ask("/", NOTES, **SCRIPT).status_code == 401
        assert stranger.ask("/", **SCRIPT).status_code == 401
        assert late.ask("/", **SCRIPT).status_code == 503
    assert person.ask("/", **SCRIPT).status_code == 200


def test_the_answer_for_a_page_is_a_redirect_or_stands_beside_a_401(around: Around) -> None:
    stated = {"X_Original_URL": f"{WIKI}/a", "X_Original_Method": "GET"}
    beside = around.ask("x_original", **stated, **{k.replace("-", "_"): v for k, v in NAVIGATION.items()})
    assert beside.status_code == 401
    assert "location" not in beside.headers
    passed_on = Direct(around).ask("/a", **NAVIGATION)
    assert passed_on.status_code == 302
    for address in (beside.headers["x-sparekey-location"], redirect_of(passed_on)):
        assert address.startswith(f"{around.world.public}/sparekey/forward-auth/sign-in?for=")
