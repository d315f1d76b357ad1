"""What is read from an authorization request, and how it may be sent again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.plane.authorization_request import (
    SESSION_PARAMETER,
    AuthorizationRequest,
    ReleasePlan,
    read_request,
    rewritten,
)

PLAIN = "/auth?client_id=app&redirect_uri=https%3A%2F%2Fapp.example.org%2Fcb&state=s&response_type=code"


def read(target: str, body: bytes = b"") -> AuthorizationRequest:
    request = read_request(target.encode(), body)
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
        ("&request=ey.J.x", ReleasePlan.PARKED_ONLY),
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
    assert read_request(PLAIN.encode(), b"client_id=other") is None


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
    request = read_request(b"/auth?client_id=app&" + target, body)
    if request:
        rewritten(request.target, "mark")
