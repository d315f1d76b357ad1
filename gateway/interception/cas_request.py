"""One CAS sign-in: its request is the very address that a ticket is answered at.

Pure. Source: CAS protocol 3.0 sections 2.1.1 (`service`, `renew`, `gateway`) and 2.2.4 (the ticket).
"""

from urllib.parse import parse_qsl, urlsplit

from gateway.interception.authorization_request import AuthorizationRequest, ReleasePlan
from gateway.plane.verdict import Replace
from idp_plugin.base import AuthorizationAnswer, Exchange

FORBIDS_PAGES = "gateway"


def cas_request(
    exchange: Exchange, answer: AuthorizationAnswer, paths: tuple[bytes, ...]
) -> AuthorizationRequest | None:
    """Return the request that a ticket answers, as a GET; None where its address tells of none.

    Args:
        paths: Where sign-ins by CAS begin. The sign-in form is posted there, too.
    """
    path, _, query = exchange.target.partition(b"?")
    if path not in paths or exchange.method not in {b"GET", b"POST"}:
        return None
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return None
    parameters = dict(pairs)
    request = AuthorizationRequest(
        target=exchange.target.decode("ascii"),
        client_id=cas_client(answer),
        redirect_uri=parameters.get("service", ""),
        state="",
        prompts=frozenset({"none"} if parameters.get(FORBIDS_PAGES) == "true" else ()),
        plan=ReleasePlan.PARKED_THEN_EXACT if parameters.get("renew") == "true" else ReleasePlan.EXACT,
    )
    fits = len(parameters) == len(pairs) and request.is_answered_by(answer.redirect_uri, "")
    return request if fits else None


def cas_client(answer: AuthorizationAnswer) -> str:
    """Return the application as rules know it: the host that the ticket goes to."""
    try:
        return urlsplit(answer.redirect_uri).hostname or ""
    except ValueError:
        return ""


def without_ticket(request: AuthorizationRequest) -> Replace:
    """Return what an application that forbade pages learns of somebody who is not signed in.

    Spec: CAS protocol 3.0 section 2.1.1, `gateway`: the service's address, without a ticket.
    """
    fields = ((b"Location", request.redirect_uri.encode("ascii")), (b"Cache-Control", b"no-store"))
    return Replace(303, fields)
