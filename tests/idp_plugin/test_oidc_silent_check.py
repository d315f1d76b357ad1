"""The silent check against a provider that lies in one way at a time."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from idp_plugin.base import AuthorizationAnswer, Exchange, Unrecognised
from idp_plugin.errors import IdpMisconfigured, IdpUnavailable
from idp_plugin.oidc import OidcRecogniser
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.settings import IdpSettings
from idp_plugin.silent_check import SilentCheck
from tests.servers.processes import free_port

PUBLIC = "https://sso.example.org"
OWN = f"{PUBLIC}/sparekey/oidc/callback"
KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})
ENCRYPTION_KEY = RSAKey.generate_key(2048, {"kid": "enc", "use": "enc"})
OTHER_KEY = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"})


@dataclass
class Liar:
    """What the provider says, and what it was asked."""

    claims: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, str] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    signer: Any = field(default_factory=lambda: KEY)
    algorithm: str = "RS256"
    published: list[Any] = field(default_factory=lambda: [KEY, ENCRYPTION_KEY])
    redirect_to: str = OWN
    status: int = 302
    slow: float = 0.0
    address: str = ""
    asked: dict[str, list[str]] = field(default_factory=dict)
    cookies: list[str | None] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    hosts: list[str | None] = field(default_factory=list)
    key_requests: int = 0

    def id_token(self) -> str:
        claims = {
            "iss": PUBLIC,
            "aud": "sparekey",
            "sub": "alice-id",
            "sid": "session-1",
            "nonce": self.asked["nonce"][0],
            "exp": int(time.time()) + 60,
            "iat": int(time.time()),
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            parts = ({"alg": "none"}, claims)
            packed = [
                base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts
            ]
            return ".".join([*packed, ""])
        header = {"alg": self.algorithm, "kid": getattr(self.signer, "kid", None) or "one"}
        return jwt.encode(header, claims, self.signer, algorithms=[self.algorithm])


def handler(liar: Liar) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            liar.hosts.append(self.headers["Host"])
            path = urlsplit(self.path).path
            if path == "/.well-known/openid-configuration":
                self.say(200, {**metadata(), **liar.metadata})
            elif path == "/keys":
                liar.key_requests += 1
                self.say(200, {"keys": [key.as_dict(private=False) for key in liar.published]})
            elif path == "/authorize":
                self.authorize()

        def authorize(self) -> None:
            time.sleep(liar.slow)
            liar.asked = parse_qs(urlsplit(self.path).query)
            liar.cookies.append(self.headers["Cookie"])
            default = {"code": "the-code"} if self.headers["Cookie"] else {"error": "login_required"}
            answer = {"state": liar.asked["state"][0], "iss": PUBLIC, **(liar.answer or default)}
            self.send_response(liar.status)
            self.send_header("Location", f"{liar.redirect_to}?{urlencode(answer)}")
            self.send_header("Set-Cookie", "session=stolen; Path=/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            liar.forms.append(form)
            liar.authorizations.append(self.headers["Authorization"])
            if form["code"] != ["the-code"]:
                self.say(400, {"error": "invalid_grant"})
            else:
                self.say(200, liar.token or {"id_token": liar.id_token(), "access_token": "x"})

        def say(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    return Handler


def metadata() -> dict[str, Any]:
    return {
        "issuer": PUBLIC,
        "authorization_endpoint": f"{PUBLIC}/authorize",
        "token_endpoint": f"{PUBLIC}/token",
        "jwks_uri": f"{PUBLIC}/keys",
    }


@pytest.fixture
def liar() -> Iterator[Liar]:
    liar = Liar()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(liar))
    server.daemon_threads = True
    liar.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield liar
    server.shutdown()
    thread.join(10)
    server.server_close()


@contextlib.contextmanager
def checking(liar: Liar, **changes: Any) -> Iterator[SilentCheck]:
    with provider_of(liar, **changes) as provider:
        yield SilentCheck(provider, redirect_uri=OWN)


@contextlib.contextmanager
def provider_of(liar: Liar, **changes: Any) -> Iterator[OidcProvider]:
    settings = {"address": liar.address, "issuer": PUBLIC, "client_secret": "s&cr t", **changes}
    provider = OidcProvider(IdpSettings.model_validate(settings), public=PUBLIC)
    yield provider
    provider.close()


def test_a_true_answer_says_who(liar: Liar) -> None:
    liar.claims = {"preferred_username": "alice", "groups": ["/staff"], "amr": ["pwd", "otp"], "acr": "1"}
    with checking(liar) as check:
        sign_in = check.ask({"session": "abc"}, session_id="session-1")
    assert (sign_in.subject.source, sign_in.subject.id, sign_in.session_id) == (
        PUBLIC,
        "alice-id",
        "session-1",
    )
    assert (sign_in.username, sign_in.groups, sign_in.amr, sign_in.acr) == (
        "alice",
        {"/staff"},
        ("pwd", "otp"),
        "1",
    )
    assert sign_in.verified_by == "silent_check"


def test_the_check_is_made_as_a_careful_client_does(liar: Liar) -> None:
    with checking(liar) as check:
        check.ask({"session": "abc", "other": "d"})
    assert liar.asked["prompt"] == ["none"]
    assert liar.asked["code_challenge_method"] == ["S256"]
    assert liar.cookies == ["session=abc; other=d"]
    assert liar.forms[0]["code_verifier"]
    assert liar.forms[0]["redirect_uri"] == [OWN]
    assert liar.authorizations == ["Basic " + base64.b64encode(b"sparekey:s%26cr%20t").decode()]
    assert set(liar.hosts) == {"sso.example.org"}


def test_cookies_of_one_check_never_reach_the_next(liar: Liar) -> None:
    with checking(liar) as check:
        check.ask({"session": "abc"})
        check.self_check()
        check.ask({"session": "def"})
    assert liar.cookies == ["session=abc", None, "session=def"]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ["sparekey", "another"]},
        {"aud": ["sparekey", "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"iat": 4_000_000_000},
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 256},
        {"sid": "session-2"},
        {"sid": None},
    ],
)
def test_a_claim_that_does_not_hold_is_nobody(liar: Liar, claims: dict[str, Any]) -> None:
    liar.claims = claims
    with checking(liar) as check, pytest.raises(Unrecognised):
        check.ask({"session": "abc"}, session_id="session-1")


@pytest.mark.parametrize(
    ("algorithm", "signer"),
    [
        ("none", KEY),
        ("HS256", OctKey.import_key("a secret that both sides might know, 32 bytes")),
        ("RS256", OTHER_KEY),
    ],
)
def test_a_signature_that_anybody_can_make_is_nobody(liar: Liar, algorithm: str, signer: Any) -> None:
    liar.algorithm, liar.signer = algorithm, signer
    with checking(liar) as check, pytest.raises(Unrecognised):
        check.ask({"session": "abc"})


def test_a_new_key_is_fetched_but_not_all_the_time(liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    with checking(liar) as check:
        check.ask({"session": "abc"})
        liar.signer, liar.published = OTHER_KEY, [KEY, OTHER_KEY]
        for _ in range(3):
            with pytest.raises(Unrecognised):
                check.ask({"session": "abc"})
        assert liar.key_requests == 1
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now + 11)
        assert check.ask({"session": "abc"}).subject.id == "alice-id"
        assert liar.key_requests == 2


@pytest.mark.parametrize(
    "answer", [{"code": "the-code", "state": "foreign"}, {"code": "the-code", "iss": "https://evil.example"}]
)
def test_a_foreign_answer_is_nobody(liar: Liar, answer: dict[str, str]) -> None:
    liar.answer = answer
    with checking(liar) as check, pytest.raises(Unrecognised):
        check.ask({"session": "abc"})


@pytest.mark.parametrize("error", ["login_required", "interaction_required", "consent_required"])
def test_no_session_is_nobody(liar: Liar, error: str) -> None:
    liar.answer = {"error": error}
    with checking(liar) as check, pytest.raises(Unrecognised):
        check.ask({"session": "abc"})


@pytest.mark.parametrize(
    "lie",
    [
        {"answer": {"error": "unauthorized_client"}},
        {"answer": {"error": "invalid_scope"}},
        {"status": 200},
        {"redirect_to": "https://evil.example/cb"},
        {"token": {"error": "invalid_client"}},
        {"metadata": {"issuer": "https://evil.example"}},
        {"metadata": {"token_endpoint": "https://evil.example/token"}},
        {"metadata": {"authorization_endpoint": None}},
        {"published": [ENCRYPTION_KEY]},
    ],
)
def test_a_provider_that_does_not_know_us_needs_an_operator(liar: Liar, lie: dict[str, Any]) -> None:
    for name, value in lie.items():
        setattr(liar, name, value)
    with checking(liar) as check, pytest.raises(IdpMisconfigured):
        check.ask({"session": "abc"})


def test_silence_and_server_errors_are_faults(liar: Liar) -> None:
    liar.slow = 0.5
    with checking(liar, silent_check_seconds=0.1) as check, pytest.raises(IdpUnavailable):
        check.ask({"session": "abc"})
    liar.slow, liar.status = 0, 503
    with checking(liar) as check, pytest.raises(IdpUnavailable):
        check.ask({"session": "abc"})
    with checking(liar, address=f"http://127.0.0.1:{free_port()}") as check, pytest.raises(IdpUnavailable):
        check.ask({"session": "abc"})


def test_the_self_check_wants_login_required_and_a_known_client(liar: Liar) -> None:
    with checking(liar) as check:
        check.self_check()


@pytest.mark.parametrize(
    "answer", [{"error": "unauthorized_client"}, {"code": "the-code"}, {"error": "interaction_required"}]
)
def test_the_self_check_refuses_everything_else(liar: Liar, answer: dict[str, str]) -> None:
    liar.answer = answer
    with checking(liar) as check, pytest.raises(IdpMisconfigured):
        check.self_check()


def test_the_recogniser_sends_the_cookies_that_the_response_leaves(liar: Liar) -> None:
    seen = Exchange(
        b"POST",
        b"/sign-in",
        ((b"Cookie", b"session=old; other=kept; gone=1; foreign=x"),),
        b"",
        302,
        ((b"Set-Cookie", b"session=new; Path=/"), (b"Set-Cookie", b"gone=; Max-Age=0")),
        b"",
    )
    with provider_of(liar, session_cookies=("session", "other", "gone")) as provider:
        OidcRecogniser(provider, redirect_uri=OWN).recognise(seen, AuthorizationAnswer("", {}, "query"))
    assert liar.cookies == ["session=new; other=kept"]


@pytest.mark.parametrize("cookies", [b"", b"foreign=x", b"session=a; session=b"])
def test_no_session_cookie_or_two_are_nobody(liar: Liar, cookies: bytes) -> None:
    seen = Exchange(b"GET", b"/", ((b"Cookie", cookies),), b"", 302, (), b"")
    with provider_of(liar, session_cookies=("session",)) as provider, pytest.raises(Unrecognised):
        OidcRecogniser(provider, redirect_uri=OWN).recognise(seen, AuthorizationAnswer("", {}, "query"))


def test_a_session_that_leaves_without_answer_or_error_is_a_miss(liar: Liar) -> None:
    def seen(location: bytes) -> Exchange:
        fields = ((b"Set-Cookie", b"session=new"), (b"Location", location))
        return Exchange(b"POST", b"/sign-in", (), b"", 302, fields, b"")

    with provider_of(liar, session_cookies=("session",)) as provider:
        recogniser = OidcRecogniser(provider, redirect_uri=OWN)
        assert recogniser.sets_session(seen(b"https://app.example.org/?ticket=1"))
        assert not recogniser.sets_session(seen(b"/authorize?again=1"))
        assert not recogniser.sets_session(seen(b"https://app.example.org/?error=access_denied"))
