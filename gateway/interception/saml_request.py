"""One SAML sign-in that began: what its answer is matched by, and how it may begin again.

Pure. Source: SAML 2.0 core section 3.4.1; bindings sections 3.4 (redirect) and 3.5 (POST); profiles section
4.1.5 (sign-ins that begin at the identity provider).
"""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from gateway.interception.authorization_request import ReleasePlan, client_of_step, is_form
from idp_plugin.base import AuthorizationAnswer, Exchange
from idp_plugin.saml_document import Element, Unreadable, read_elements
from idp_plugin.saml_response import (
    ASSERTION,
    PROTOCOL,
    SamlResponse,
    decoded_message,
    read_response,
)

LONGEST_MESSAGE = 32_768
"""Of path, query and form together. A signed request with its certificate has 4 to 8 kB, and relay states
are longer than the 80 bytes that the specification allows."""

REQUEST = f"{PROTOCOL} AuthnRequest"
ISSUER = (REQUEST, f"{ASSERTION} Issuer")
CONTEXT = (REQUEST, f"{PROTOCOL} RequestedAuthnContext")


@dataclass(frozen=True, slots=True)
class SamlRequest:
    """A request that the identity provider accepted, or an address there where sign-ins begin unasked."""

    target: str = field(repr=False)
    """Path and query, a line feed, and the form of a POST as it came: `is_saml` tells it by the line feed."""
    id: str
    """Empty where nobody asked."""
    client_id: str
    """Entity id of the relying party; empty where nobody asked."""
    relay_state: str = field(repr=False)
    is_passive: bool = False
    """No page may be shown to the person."""
    wants_more: bool = False
    """A fresh sign-in or a certain assurance, which a second answer may lack."""
    session_mark: str = field(default="", repr=False)
    """Always empty: requests are signed, so none is rewritten."""

    @property
    def plan(self) -> ReleasePlan:
        """How the answer is released; a request that forces a sign-in forces it again when repeated."""
        return ReleasePlan.PARKED_THEN_EXACT if self.wants_more else ReleasePlan.EXACT

    def is_answered_by(self, answer: AuthorizationAnswer) -> bool:
        """Tell whether an answer belongs to this request.

        Security: an answer that says which request it answers, and for whom, is believed in both.
        """
        if answer.protocol != "saml":
            return False
        response = _response(answer)
        if response is None:
            return "SAMLart" in answer.parameters and self._carries(answer)
        if response.in_response_to or self.id:
            return response.in_response_to == self.id and self._is_for(response)
        return self._carries(answer)

    def _is_for(self, response: SamlResponse) -> bool:
        return not response.audiences or self.client_id in response.audiences

    def _carries(self, answer: AuthorizationAnswer) -> bool:
        stated = answer.parameters.get("RelayState", "")
        # A provider may have a relay state of its own for sign-ins that begin there.
        return stated == self.relay_state or not (self.id or self.relay_state)


def read_saml_request(target: bytes, form: bytes | None = None) -> SamlRequest | None:
    """Read an authentication request as the identity provider does: by GET the query, by POST the form.

    Args:
        form: The whole body of a POST; None for a GET.

    Returns:
        None where it is none, says anything twice, is too long to keep, or is posted beside a query.
    """
    path, _, query = target.partition(b"?")
    raw = query if form is None else form
    if len(path) + len(raw) > LONGEST_MESSAGE or (form is not None and query):
        return None
    kept = target + b"\n" + (form or b"")
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=100)
        text = kept.decode("ascii")
    except ValueError:
        return None
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or "SAMLResponse" in parameters:
        return None
    relay_state, message = parameters.get("RelayState", ""), parameters.get("SAMLRequest")
    if message is None:
        return None if form is not None else SamlRequest(text, "", "", relay_state)
    try:
        elements = read_elements(decoded_message(message))
    except Unreadable:
        return None
    return _stated(elements, text, relay_state)


def is_saml(kept: str) -> bool:
    """Tell what `SamlRequest.target` kept from the target of an OIDC request."""
    return "\n" in kept


def read_kept(kept: str) -> SamlRequest | None:
    """Read what `SamlRequest.target` kept; None for the target of an OIDC request."""
    target, _, form = kept.partition("\n")
    if not is_saml(kept):
        return None
    return read_saml_request(target.encode("ascii"), form.encode("ascii") or None)


def accepted_saml_request(exchange: Exchange, paths: tuple[bytes, ...]) -> SamlRequest | None:
    """Return the request that this response answers, if the provider took it.

    Args:
        paths: Where sign-ins by SAML begin; unasked ones begin below.
    """
    if exchange.status >= 400 or not begins_saml(exchange.target, paths):
        return None
    if exchange.method == b"GET":
        return read_saml_request(exchange.target)
    if exchange.method == b"POST" and is_form(exchange.request_headers):
        return read_saml_request(exchange.target, exchange.request_body)
    return None


def begins_saml(target: bytes, paths: tuple[bytes, ...]) -> bool:
    """Tell whether a target is, or is below, one where sign-ins by SAML begin."""
    path = target.partition(b"?")[0]
    return any(path == begins or path.startswith(begins + b"/") for begins in paths)


def saml_client(answer: AuthorizationAnswer, asked: SamlRequest | None, *, step: bytes) -> str:
    """Return the entity id of the relying party that an answer is for; empty where nobody can tell.

    Security: a remembered request proves nothing: whoever made it may have made another one under the same
    ID. So the answer's own word counts, and where it hides that, what the provider itself checked.

    Args:
        asked: The request whose own response the answer is, if it is one's.
        step: Target of the request that was answered.
    """
    response = _response(answer)
    audiences = response.audiences if response else frozenset()
    if len(audiences) == 1:
        return next(iter(audiences))
    client = asked.client_id if asked else client_of_step(step)
    return client if client in audiences or not audiences else ""


def _response(answer: AuthorizationAnswer) -> SamlResponse | None:
    return read_response(answer.parameters.get("SAMLResponse", ""))


def _stated(elements: list[Element], kept: str, relay_state: str) -> SamlRequest | None:
    root = elements[0]
    issuers = [element.text.strip() for element in elements if element.path == ISSUER]
    if root.name != REQUEST or not root.attributes.get("ID") or len(issuers) != 1:
        return None
    says = {name for name in ("ForceAuthn", "IsPassive") if root.attributes.get(name) in {"true", "1"}}
    return SamlRequest(
        kept,
        root.attributes["ID"],
        issuers[0],
        relay_state,
        is_passive="IsPassive" in says,
        wants_more="ForceAuthn" in says or any(element.path == CONTEXT for element in elements),
    )
