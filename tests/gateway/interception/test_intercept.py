"""What the interceptor asks of the plane, and what it does with odd responses."""

import asyncio
import datetime as dt
import gzip
import re
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from enforcement.gate import Gate
from gateway.interception.authorization_request import read_request
from gateway.interception.decide import Answered, Decider
from gateway.interception.decide_token import TokenDecider
from gateway.interception.faults import Faults
from gateway.interception.hold import Holds
from gateway.interception.intercept import Interception
from gateway.interception.loop_guard import LoopGuard
from gateway.interception.plane_cookies import PlaneCookies
from gateway.interception.remembered import RememberedRequests
from gateway.interception.saml_passive import PassiveRefusals
from gateway.interception.sign_in_audit import SignInAudit
from gateway.interception.sign_in_metrics import SESSION_MISSES
from gateway.interception.silent_refusal import SilentRefusal
from gateway.plane.verdict import Asked, Pass, Replace
from gateway.settings import GatewaySettings
from idp_plugin.base import Exchange
from idp_plugin.keycloak.recogniser import KeycloakRecogniser
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.settings import IdpSettings
from store.audit import AuditAction
from store.database import Database
from store.expiring import Expiring
from store.vault import Vault
from tests.gateway.plane.recorder import Recorded, Recorder
from tests.gateway.plane.stage import Response, a_client, a_plane
from tests.servers.processes import free_port
from tests.servers.valkey import Valkey

PUBLIC = "https://sso.example.org"
AUTH = "/realms/corp/protocol/openid-connect/auth"


@pytest.fixture
def interception(tmp_path: Path, valkey: Valkey) -> Iterator[Interception]:
    idp = IdpSettings(
        kind="keycloak",
        address=f"http://127.0.0.1:{free_port()}",
        issuer=f"{PUBLIC}/realms/corp",
        client_secret=cast(Any, "secret"),
    )
    settings = GatewaySettings(public=PUBLIC)
    provider = OidcProvider(idp, public=PUBLIC)
    recogniser = KeycloakRecogniser(provider, redirect_uri=f"{PUBLIC}/sparekey/oidc/callback")
    expiring = Expiring(valkey.url, Vault([secrets.token_bytes(32)]))
    database = Database(f"sqlite:///{tmp_path / 'sparekey.db'}", expiring.vault)
    database.upgrade()
    decider = Decider(
        recogniser=recogniser,
        gate=Gate(database),
        holds=cast(Holds, None),
        remembered=cast(RememberedRequests, None),
        guard=cast(LoopGuard, None),
        faults=cast(Faults, None),
        audit=SignInAudit(database),
        cookies=PlaneCookies(settings),
        silent=cast(SilentRefusal, None),
        passive=cast(PassiveRefusals, None),
        hold_address=f"{PUBLIC}/sparekey/hold",
        clock=lambda: dt.datetime.now(dt.UTC),
    )
    with ThreadPoolExecutor(1) as executor:
        yield Interception(
            recogniser=recogniser,
            decider=decider,
            remembered=RememberedRequests(expiring, executor),
            cookies=PlaneCookies(settings),
            executor=executor,
            public=PUBLIC,
            prefix="/sparekey",
            authorization_path=recogniser.authorization_path,
            session_cookies=recogniser.session_cookies,
            token_path=recogniser.token_path,
            token_decider=cast(TokenDecider, None),
        )
    database.dispose()
    expiring.close()
    provider.close()


def asked(target: str, method: str = "GET", cookie: str = "") -> Asked:
    headers = ((b"Cookie", cookie.encode()),) if cookie else ()
    return Asked(method.encode(), target.encode(), headers, "192.0.2.7")


def fields(*pairs: tuple[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode("latin-1")) for name, value in pairs)


def examine(
    interception: Interception, request: Asked, *pairs: tuple[str, str], status: int = 200, body: bytes = b""
) -> Any:
    exchange = Exchange(request.method, request.target, request.headers, b"", status, fields(*pairs), body)
    return asyncio.run(interception.examine(request, exchange))


FORM = (b"Content-Type", b"application/x-www-form-urlencoded")
ASKED = b"client_id=app&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb&state=s"


@pytest.mark.parametrize(
    ("method", "query", "headers", "body", "client"),
    [
        (b"GET", b"?" + ASKED, (), b"client_id=evil", "app"),
        (b"POST", b"", (FORM,), ASKED, "app"),
        (b"POST", b"?" + ASKED, (FORM,), b"", None),
        (b"POST", b"?" + ASKED, (FORM,), ASKED, None),
        (b"POST", b"?" + ASKED, (), b"", None),
        (b"POST", b"", ((b"Content-Type", b"text/plain"),), ASKED, None),
        (b"PUT", b"?" + ASKED, (), b"", None),
    ],
)
def test_a_request_is_read_where_the_provider_reads_it(
    interception: Interception,
    method: bytes,
    query: bytes,
    headers: tuple[tuple[bytes, bytes], ...],
    body: bytes,
    client: str | None,
) -> None:
    exchange = Exchange(method, AUTH.encode() + query, headers, body, 200, (), b"")
    target = interception._accepted_target(exchange)
    request = read_request(target.encode()) if target else None
    assert (request.client_id if request else None) == client


@pytest.mark.parametrize(
    ("target", "status", "pairs"),
    [
        ("/x", 200, [("Content-Type", "text/html;charset=utf-8")]),
        ("/x", 400, [("content-type", "TEXT/HTML")]),
        ("/x", 200, []),
        ("/x.css", 200, [("Content-Type", "text/html")]),
        ("/x", 302, [("Location", "https://app.example.org/cb")]),
        ("/x", 200, [("Content-Type", "image/png"), ("LOCATION", "https://app.example.org/cb?code=c")]),
        ("/x", 302, [("Location", "//app.example.org/cb")]),
        ("/x", 302, [("Location", "/\\app.example.org/cb")]),
        ("/x", 302, [("Location", "/\t/app.example.org/cb")]),
        ("/x", 302, [("Location", f"{PUBLIC}.evil.example/cb")]),
        ("/x", 302, [("Location", f"{PUBLIC}@evil.example/cb")]),
        ("/x", 302, [("Location", "/there"), ("Location", "https://app.example.org/cb")]),
        ("/x", 302, [("Location", "/there"), ("Set-Cookie", "KEYCLOAK_IDENTITY=x")]),
        ("/x", 200, [("Content-Type", "text/plain"), ("Refresh", "0;url=https://app.example.org")]),
        (f"{AUTH}?client_id=app", 302, [("Location", "/there")]),
    ],
)
def test_whatever_may_be_a_sign_in_is_read(
    interception: Interception, target: str, status: int, pairs: list[tuple[str, str]]
) -> None:
    assert interception.needs_body(asked(target), status, fields(*pairs))


@pytest.mark.parametrize(
    ("target", "status", "pairs"),
    [
        ("/x", 200, [("Content-Type", "text/css")]),
        ("/x", 304, [("ETag", "1")]),
        ("/x", 302, [("Location", "/there?code=c"), ("Set-Cookie", "OTHER=x")]),
        ("/x", 302, [("Location", f"{PUBLIC}/there")]),
        ("/x", 200, [("Content-Type", "application/json")]),
    ],
)
def test_everything_else_streams_through(
    interception: Interception, target: str, status: int, pairs: list[tuple[str, str]]
) -> None:
    assert not interception.needs_body(asked(target), status, fields(*pairs))


def test_encodings_stay_for_what_is_no_page(interception: Interception) -> None:
    assert not interception.wants_identity(asked("/resources/abc/styles.css?v=1"))
    assert interception.wants_identity(asked(f"{AUTH}?x=/styles.css"))


def test_the_form_of_a_posted_authorization_request_is_kept(interception: Interception) -> None:
    assert interception.keeps_request_body(asked(AUTH, "POST"))
    assert not interception.keeps_request_body(asked("/realms/corp/login-actions/authenticate?x=1", "POST"))
    assert not interception.keeps_request_body(asked(f"{AUTH}?x=1"))


def test_a_session_that_nobody_answers_for_is_refused(interception: Interception) -> None:
    before = SESSION_MISSES._value.get()
    verdict = examine(
        interception,
        asked("/realms/corp/x"),
        ("Content-Type", "text/html"),
        ("Set-Cookie", "KEYCLOAK_IDENTITY=odd"),
    )
    assert isinstance(verdict, Replace)
    assert verdict.status == 403
    assert not verdict.keep_cookies
    assert SESSION_MISSES._value.get() == before + 1
    with interception._decider.audit.database.reading() as transaction:
        (event,) = transaction.audit.find(action=AuditAction.SIGN_IN_SESSION_MISSED)
    assert event.reference.encode() in verdict.body


def test_a_failure_of_ours_lets_nothing_out(
    interception: Interception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interception, "_decider", None)
    verdict = examine(
        interception,
        asked("/realms/corp/x"),
        ("Location", "https://app.example.org/cb?code=c&state=s"),
        status=302,
    )
    assert isinstance(verdict, Replace)
    assert verdict.status == 500
    assert b"code=c" not in verdict.body
    assert not any(name == b"Location" for name, _ in verdict.headers)


def test_a_page_without_a_place_for_the_link_passes_untouched(interception: Interception) -> None:
    verdict = examine(
        interception, asked("/x"), ("Content-Type", "text/html"), body=b"<html><p>hello</p></html>"
    )
    assert verdict == Pass()


def test_a_new_browser_gets_a_host_cookie_for_cross_site_requests(interception: Interception) -> None:
    request = asked(f"{AUTH}?client_id=app&redirect_uri=x&state=s")
    verdict = examine(interception, request, ("Content-Type", "text/html"))
    ((name, value),) = verdict.add_headers
    assert name == b"Set-Cookie"
    pattern = rb"__Host-sparekey-requests=[\w-]{32}; Path=/; HttpOnly; Max-Age=86400; SameSite=None; Secure"
    assert re.fullmatch(pattern, value)
    known = asked(request.target.decode(), cookie=value.partition(b";")[0].decode())
    assert examine(interception, known, ("Content-Type", "text/html")).add_headers == ()


@pytest.mark.parametrize(
    "cookie",
    [
        "__Host-sparekey-requests=short",
        "__Host-sparekey-requests=" + "a" * 32 + "; __Host-sparekey-requests=" + "b" * 32,
        "sparekey-requests=" + "a" * 32,
    ],
)
def test_an_odd_or_doubled_browser_cookie_is_replaced(interception: Interception, cookie: str) -> None:
    request = asked(f"{AUTH}?client_id=app&redirect_uri=x&state=s", cookie=cookie)
    assert examine(interception, request, ("Content-Type", "text/html")).add_headers


def test_a_request_that_the_provider_refused_is_not_remembered(interception: Interception) -> None:
    request = asked(f"{AUTH}?client_id=app&redirect_uri=x&state=s")
    assert examine(interception, request, ("Content-Type", "text/html"), status=400).add_headers == ()


def test_a_silent_request_covers_its_own_answer_only(
    interception: Interception, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided: list[Answered] = []
    monkeypatch.setattr(Decider, "decide", lambda _self, answered: decided.append(answered) or Pass())
    query = "client_id=app&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb&state=s&prompt=none"
    for answer, is_silent in (
        ("https://app.example.org/cb?code=c&state=s", True),
        ("https://app.example.org/cb?code=c&state=other", False),
        ("https://other.example.org/cb?code=c&state=s", False),
    ):
        examine(interception, asked(f"{AUTH}?{query}"), ("Location", answer), status=302)
        assert decided[-1].is_silent is is_silent
        assert (decided[-1].request is not None) is is_silent


CODE = b"https://app.example.org/cb?code=topsecret&state=s"
FORM_PAGE = (
    b'<html><body onload="document.forms[0].submit()"><form method="post" action="https://app.example.org/cb">'
    b'<input type="hidden" name="code" value="topsecret"></form></body></html>'
)
HTML = b"Content-Type: text/html\r\n"


def written(status: bytes, fields: bytes, body: bytes = b"", *, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, fields, size, body)


@pytest.mark.parametrize(
    "answer",
    [
        written(b"200 OK", HTML, FORM_PAGE),
        written(b"200 OK", b"", FORM_PAGE),
        written(b"404 Not Found", HTML, FORM_PAGE),
        written(b"200 OK", HTML, b'<meta http-equiv="refresh" content="0; url=%b">' % CODE),
        written(b"200 OK", HTML + b"Refresh: 0;url=%b\r\n" % CODE),
        written(b"200 OK", b"Content-Type: text/plain\r\nRefresh: 0;url=%b\r\n" % CODE),
        written(b"201 Created", b"Location: %b\r\n" % CODE),
        written(b"302 Found", b"Location: /here\r\nLocation: %b\r\n" % CODE),
        written(b"302 Found", b"Location: %b\r\nLocation: /here\r\n" % CODE),
        written(b"200 OK", HTML + b"Content-Encoding: gzip\r\n", gzip.compress(FORM_PAGE, mtime=0)),
        b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
        % (HTML, len(FORM_PAGE), FORM_PAGE),
        written(b"200 OK", HTML, FORM_PAGE, length=len(FORM_PAGE) + 9),
        written(b"200 OK", HTML + b"Content-Encoding: gzip\r\n", gzip.compress(FORM_PAGE, mtime=0)[:-9]),
    ],
)
def test_no_odd_way_to_write_an_answer_lets_the_code_out(interception: Interception, answer: bytes) -> None:
    async def says(_request: Recorded, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    async def asks() -> Response:
        async with (
            Recorder({"/realms/corp/x": says}) as upstream,
            a_plane(upstream, interceptor=interception, public=PUBLIC) as plane,
            a_client(plane) as client,
        ):
            return await client.asks(b"GET /realms/corp/x HTTP/1.1\r\nHost: sso.example.org\r\n\r\n")

    response = asyncio.run(asks())
    assert response.status in {403, 502}
    assert b"topsecret" not in response.head + response.body
    assert response.complete
