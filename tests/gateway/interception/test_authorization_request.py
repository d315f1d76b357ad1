"""What is read from an authorization request, and how it may be sent again."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.interception.authorization_request import (
    LONGEST_TARGET,
    SESSION_PARAMETER,
    AuthorizationRequest,
    ReleasePlan,
    is_form,
    is_of_step,
    read_request,
    rewritten,
)

PLAIN = "/auth?client_id=app&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb&state=s&response_type=code"


def read(target: str, form: bytes | None = None) -> AuthorizationRequest:
    request = read_request(target.encode(), form)
    assert request
    return request


def test_a_plain_request_is_sent_again_as_it_was() -> None:
    request = read(PLAIN)
    assert (request.client_id, request.redirect_uri, request.state) == (
        "app",
        "https://app.example.org/cb",
        "s",
    )
    assert request.plan is ReleasePlan.EXACT
    assert request.target == PLAIN


@pytest.mark.parametrize(
    ("more", "plan"),
    [
        ("&prompt=none", ReleasePlan.EXACT),
        ("&login_hint=alice&ui_locales=de", ReleasePlan.EXACT),
        ("&prompt=login", ReleasePlan.PARKED_THEN_REWRITTEN),
        ("&prompt=consent%20login", ReleasePlan.PARKED_THEN_REWRITTEN),
        ("&prompt=select_account", ReleasePlan.PARKED_THEN_REWRITTEN),
        ("&max_age=3600", ReleasePlan.PARKED_THEN_REWRITTEN),
        ("&kc_action=UPDATE_PASSWORD", ReleasePlan.PARKED_THEN_REWRITTEN),
        ("&acr_values=gold&prompt=login", ReleasePlan.PARKED_THEN_REWRITTEN),
        ("&acr_values=gold", ReleasePlan.PARKED_THEN_EXACT),
        ("&claims=%7B%7D", ReleasePlan.PARKED_THEN_EXACT),
        ("&request=ey.J.x", ReleasePlan.PARKED_THEN_EXACT),
        ("&request_uri=https%3A%2F%2Fapp.example.org%2Frequest&prompt=login", ReleasePlan.PARKED_THEN_EXACT),
        ("&request_uri=urn:ietf:params:oauth:request_uri:x", ReleasePlan.PARKED_ONLY),
        ("&request_uri=urn:x&prompt=login", ReleasePlan.PARKED_ONLY),
    ],
)
def test_the_plan_follows_from_the_parameters(more: str, plan: ReleasePlan) -> None:
    assert read(PLAIN + more).plan is plan


@pytest.mark.parametrize(
    "target",
    [
        "/auth",
        "/auth?state=s",
        "/auth?client_id=&state=s",
        PLAIN + "&client_id=other",
        PLAIN + "&state=other",
        PLAIN + "&prompt=login&prompt=none",
        PLAIN + "&x=" + "y" * 9000,
        PLAIN + "&a" * 200,
        PLAIN + "&x=ä",
    ],
)
def test_what_is_malformed_doubled_or_too_long_is_not_kept(target: str) -> None:
    assert read_request(target.encode()) is None


def test_a_posted_request_is_the_same_as_a_get() -> None:
    path, _, query = PLAIN.partition("?")
    assert read(path, query.encode()) == read(PLAIN)


@pytest.mark.parametrize("form", [b"", b"client_id=other", b"x=y", PLAIN.partition("?")[2].encode()])
def test_a_posted_request_with_a_query_is_not_kept(form: bytes) -> None:
    assert read_request(PLAIN.encode(), form) is None


def test_a_posted_request_without_a_form_is_not_kept() -> None:
    assert read_request(b"/auth", b"") is None


@pytest.mark.parametrize("opaque", ["request=ey.J.x", "request_uri=urn:x", "%72equest=ey.J.x"])
def test_what_stands_beside_a_request_object_is_not_believed(opaque: str) -> None:
    request = read(f"{PLAIN}&prompt=none&{opaque}")
    assert not request.is_answered_by("https://app.example.org/cb", "s")
    assert not request.prompts


def test_what_a_signed_request_says_is_believed_and_nothing_beside_it() -> None:
    inside = {"client_id": "app", "redirect_uri": "https://app.example.org/cb", "state": "t", "max_age": 0}
    request = read(f"{PLAIN}&prompt=none&request={signed({**inside, 'prompt': 'login'})}")
    assert request.is_answered_by("https://app.example.org/cb", "t")
    assert not request.is_answered_by("https://app.example.org/cb", "s")
    assert request.prompts == {"login"}
    assert not request.is_hidden


@pytest.mark.parametrize(
    "opaque",
    [
        "request={signed}&request_uri=urn:x",
        "request={other}",
        "request={unsigned}.x.y.z",
    ],
)
def test_a_request_that_only_the_provider_can_read_is_hidden(opaque: str) -> None:
    inside = {"client_id": "app", "redirect_uri": "https://app.example.org/cb", "state": "s"}
    objects = {"signed": signed(inside), "other": signed({**inside, "client_id": "other"}), "unsigned": "e"}
    request = read(f"/auth?client_id=app&{opaque.format(**objects)}")
    assert request.is_hidden
    assert not request.is_answered_by("https://app.example.org/cb", "s")


def signed(claims: dict[str, Any]) -> str:
    """A request object as it looks from outside."""
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJFUzI1NiJ9.{body}.c2lnbmF0dXJl"


def test_the_longest_request_is_kept_and_one_byte_more_is_not() -> None:
    longest = PLAIN + "&x="
    longest += "y" * (LONGEST_TARGET - len(longest))
    assert read(longest).target == longest
    assert read_request(longest.encode() + b"y") is None


@pytest.mark.parametrize(
    ("types", "form"),
    [
        ((b"application/x-www-form-urlencoded",), True),
        ((b"Application/X-WWW-Form-URLencoded; charset=UTF-8",), True),
        ((b'application/x-www-form-urlencoded;charset="utf-8"',), True),
        ((b"application/x-www-form-urlencoded; charset=utf-16",), False),
        ((b"application/x-www-form-urlencoded; charset=ibm037",), False),
        ((b"multipart/form-data; boundary=x",), False),
        ((b"text/plain",), False),
        ((b"application/x-www-form-urlencoded", b"text/plain"), False),
        ((), False),
    ],
)
def test_a_form_is_what_says_so(types: tuple[bytes, ...], form: bool) -> None:
    assert is_form(tuple((b"content-TYPE", value) for value in types)) is form


def test_a_compressed_form_is_none() -> None:
    typed = (b"Content-Type", b"application/x-www-form-urlencoded")
    assert not is_form((typed, (b"Content-Encoding", b"gzip")))


@pytest.mark.parametrize(
    ("target", "fits"),
    [
        (b"/realms/r/login-actions/authenticate?client_id=app&tab_id=t", True),
        (b"/realms/r/login-actions/authenticate?client_id=%61pp", True),
        (b"/auth/realms/r/login-actions/required-action?client_id=other", False),
        (b"/realms/r/login-actions/authenticate?tab_id=t", False),
        (b"/realms/r/login-actions/authenticate", False),
        (b"/realms/r/login-actions/authenticate?client_id=app&client_id=other", False),
        (b"/realms/r/login-actions/authenticate?client_id=other&client_id=app", False),
        (b"/realms/r/broker/upstream/endpoint?client_id=other", True),
        (b"/sign-in", True),
    ],
)
def test_a_step_of_keycloak_names_the_client_that_is_answered(target: bytes, fits: bool) -> None:
    assert is_of_step(read(PLAIN), target) is fits


def test_an_answer_belongs_by_address_and_state() -> None:
    request = read(PLAIN.replace("%2Fcb", "%2Fcb%3Ftenant%3D1"))
    assert request.is_answered_by("https://app.example.org/cb", "s")
    assert not request.is_answered_by("https://app.example.org/cb", "other")
    assert not request.is_answered_by("https://app.example.org/cb2", "s")
    assert not read("/auth?client_id=app&request_uri=urn:x").is_answered_by("", "")


def test_rewriting_takes_away_what_asks_again_and_nothing_else() -> None:
    again = rewritten(
        PLAIN + "&prompt=login+consent+select_account&max_age=0&kc_action=x&acr_values=g", "mark"
    )
    assert again == f"{PLAIN}&prompt=consent&acr_values=g&{SESSION_PARAMETER}=mark"
    assert read(again).session_mark == "mark"


def test_rewriting_twice_names_one_session() -> None:
    assert rewritten(rewritten(PLAIN, "first"), "second") == f"{PLAIN}&{SESSION_PARAMETER}=second"


@pytest.mark.parametrize("spelling", ["prompt=login", "%70rompt=login", "prompt=%6Cogin", "p%72ompt=log%69n"])
def test_rewriting_sees_through_spellings(spelling: str) -> None:
    assert "ogin" not in rewritten(f"{PLAIN}&{spelling}", "mark")


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_no_request_makes_it_fail(target: bytes, body: bytes) -> None:
    for request in (
        read_request(b"/auth?client_id=app&" + target),
        read_request(b"/auth", b"client_id=app&" + body),
    ):
        if request:
            rewritten(request.target, "mark")
    is_of_step(read(PLAIN), b"/realms/r/login-actions/x?" + target)
