"""CAS sign-ins: the request is the address at which the ticket is answered."""

import pytest

from gateway.interception.authorization_request import AuthorizationRequest, ReleasePlan
from gateway.interception.cas_request import cas_client, cas_request, without_ticket
from idp_plugin.authorization_answer import targets
from idp_plugin.base import Exchange

SERVICE = "https://app.example.org/reports?week=7"
BEGINS = b"/cas/login?service=https%3A%2F%2Fapp.example.org%2Freports%3Fweek%3D7"


def exchange(target: bytes, location: str = f"{SERVICE}&ticket=ST-1", method: bytes = b"GET") -> Exchange:
    return Exchange(method, target, (), b"", 302, ((b"Location", location.encode()),), b"")


def ask(target: bytes) -> AuthorizationRequest | None:
    seen = exchange(target)
    (answer,) = [each.answer() for each in targets(seen)]
    assert (answer.protocol, cas_client(answer)) == ("cas", "app.example.org")
    return cas_request(seen, answer, (b"/cas/login",))


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_the_address_of_a_ticket_is_its_request(method: bytes) -> None:
    seen = exchange(BEGINS, method=method)
    (answer,) = [each.answer() for each in targets(seen)]
    request = cas_request(seen, answer, (b"/cas/login",))
    assert request
    assert (request.target, request.plan) == (BEGINS.decode(), ReleasePlan.EXACT)
    assert (request.client_id, request.redirect_uri) == ("app.example.org", SERVICE)


def test_a_renewed_sign_in_is_parked_and_a_gateway_forbids_pages() -> None:
    seen = exchange(BEGINS + b"&renew=true")
    (answer,) = [each.answer() for each in targets(seen)]
    renewed = cas_request(seen, answer, (b"/cas/login",))
    silent = cas_request(exchange(BEGINS + b"&gateway=true"), answer, (b"/cas/login",))
    assert renewed
    assert silent
    assert (renewed.plan, renewed.prompts) == (ReleasePlan.PARKED_THEN_EXACT, frozenset())
    assert silent.prompts == {"none"}
    assert (b"Location", SERVICE.encode()) in without_ticket(silent).headers


@pytest.mark.parametrize(
    "target",
    [
        b"/elsewhere" + BEGINS.removeprefix(b"/cas/login"),
        BEGINS + b"&service=https%3A%2F%2Fevil.example.org",
        BEGINS.replace(b"?", b"?service=https%3A%2F%2Fevil.example.org&"),
        b"/cas/login?service=https%3A%2F%2Fevil.example.org%2Freports",
        b"/cas/login",
    ],
)
def test_what_does_not_fit_the_ticket_is_no_request(target: bytes) -> None:
    assert ask(target) is None


def test_only_tickets_are_taken_for_tickets() -> None:
    for value in ("PT-1", "ST-1"):
        assert any(each.hands_over for each in targets(exchange(BEGINS, f"{SERVICE}&ticket={value}")))
    for value in ("17", "st-1", ""):
        assert not any(each.hands_over for each in targets(exchange(BEGINS, f"{SERVICE}&ticket={value}")))
