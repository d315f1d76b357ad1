"""What a relying party that asked silently is told, in each response mode."""

import html
from typing import cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.interception.authorization_request import AuthorizationRequest, read_request
from gateway.interception.silent_refusal import Asks, SilentRefusal, is_silent
from gateway.plane.verdict import Replace
from idp_plugin.base import AuthorizationAnswer, Exchange, SignInRecogniser, Unrecognised

CREDENTIALS = {
    "code": "topsecret",
    "id_token": "topsecret",
    "access_token": "topsecret",
    "session_state": "s1",
}
STATED = {"state": '"><b>&', "iss": "https://sso.example.org"}
EXCHANGE = Exchange(b"GET", b"/auth", (), b"", 302, (), b"")


def request(more: str = "&prompt=none") -> AuthorizationRequest:
    target = "/auth?client_id=app&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb%3Ftenant%3D1&state=s" + more
    found = read_request(target.encode())
    assert found
    return found


def refused(mode: str, asked: AuthorizationRequest | None) -> Replace:
    answer = AuthorizationAnswer("https://app.example.org/cb", {**CREDENTIALS, **STATED}, mode)
    refusal = SilentRefusal(cast(Asks, None), cast(SignInRecogniser, None))
    return refusal.answer(EXCHANGE, answer, asked)


def location(answer: Replace) -> str:
    return dict(answer.headers)[b"Location"].decode()


def test_the_query_of_the_redirect_address_is_kept() -> None:
    told = urlsplit(location(refused("query", request())))
    said = parse_qs(told.query)
    assert said["tenant"] == ["1"]
    assert said["error"] == ["interaction_required"]
    assert (said["state"], said["iss"]) == ([STATED["state"]], [STATED["iss"]])
    in_fragment = urlsplit(location(refused("fragment", request())))
    assert in_fragment.query == "tenant=1"
    assert parse_qs(in_fragment.fragment)["error"] == ["interaction_required"]


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
@pytest.mark.parametrize("asked", [request(), None])
def test_nothing_that_signs_in_is_told(mode: str, asked: AuthorizationRequest | None) -> None:
    answer = refused(mode, asked)
    assert b"topsecret" not in answer.body + b"".join(value for _, value in answer.headers)
    assert b"s1" not in answer.body


def test_a_form_is_written_so_that_nothing_in_it_becomes_markup() -> None:
    answer = refused("form_post", request())
    assert b"<b>" not in answer.body
    assert html.escape(STATED["state"]).encode() in answer.body
    policy = dict(answer.headers)[b"Content-Security-Policy"]
    assert b"default-src 'none'" in policy
    assert b"unsafe" not in policy


class Provider:
    """Answers as it is told."""

    address = "http://127.0.0.1:1"

    def __init__(self, location: str) -> None:
        self.location = location

    def request(self, method: str, address: str) -> httpx.Response:
        assert (method, address.startswith(self.address)) == ("GET", True)
        return httpx.Response(302, headers={"Location": self.location})


class Recogniser:
    """Takes every code for an answer."""

    def answer(self, exchange: Exchange) -> AuthorizationAnswer | None:
        leads = dict(exchange.response_headers).get(b"Location", b"").decode()
        return AuthorizationAnswer(leads, {}, "query") if "code=" in leads else None


@pytest.mark.parametrize(
    "leads", ["https://app.example.org/cb?code=c", "https://app.example.org/cb", "/login"]
)
def test_what_the_provider_says_instead_of_an_error_is_not_handed_on(leads: str) -> None:
    refusal = SilentRefusal(Provider(leads), cast(SignInRecogniser, Recogniser()))
    answer = AuthorizationAnswer("https://app.example.org/cb", {"response": "e.y.J"}, "query")
    with pytest.raises(Unrecognised):
        refusal.answer(EXCHANGE, answer, request())
    with pytest.raises(Unrecognised):
        refusal.answer(EXCHANGE, answer, None)


def test_a_frame_is_silent_where_a_request_is_answered_and_nowhere_else() -> None:
    framed = ((b"sec-fetch-dest", b"iframe"),)
    assert is_silent(None, framed, is_on_the_spot=True)
    assert not is_silent(None, framed, is_on_the_spot=False)
    assert not is_silent(None, ((b"Sec-Fetch-Dest", b"document"),), is_on_the_spot=True)
    assert is_silent(request(), (), is_on_the_spot=True)
    assert not is_silent(request(""), (), is_on_the_spot=True)
