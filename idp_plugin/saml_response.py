"""What a SAML response says that we need: whether it signs anybody in, for whom, in answer to what.

Signatures are not verified here: a response is read only on its way out of the identity provider, and whom it
signs in is learnt from the session (S9). What cannot be read counts as a sign-in (S8).

Source: SAML 2.0 core sections 2.7.2, 3.2.2, 3.4; bindings sections 3.4.4.1, 3.5.4, 3.6.3.
"""

import base64
import binascii
import datetime as dt
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from idp_plugin.saml_document import LONGEST_DOCUMENT, Element, Unreadable, read_elements

PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
RESPONSE = f"{PROTOCOL} Response"
LOGOUT_RESPONSE = f"{PROTOCOL} LogoutResponse"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
STATUS_CODE = (RESPONSE, f"{PROTOCOL} Status", f"{PROTOCOL} StatusCode")
AUTHENTICATION = (RESPONSE, f"{ASSERTION} Assertion", f"{ASSERTION} AuthnStatement")
AUDIENCE = tuple(
    f"{ASSERTION} {name}" for name in ("Assertion", "Conditions", "AudienceRestriction", "Audience")
)
_ASSERTIONS = ("Assertion", "EncryptedAssertion", "EncryptedData", "EncryptedID")


@dataclass(frozen=True, slots=True)
class SamlResponse:
    """One response whose status is success, as it states itself."""

    in_response_to: str
    """ID of the request; empty where nobody asked."""
    audiences: frozenset[str]
    """Entity ids of the relying parties that it is for; empty where it is encrypted."""
    session_index: str = field(repr=False)
    """Empty where it is encrypted, or says so of more than one."""
    good_until: dt.datetime | None
    """Aware UTC; the earliest moment at which a relying party must refuse it."""


def signs_in(value: str) -> bool:
    """Tell whether a `SAMLResponse` may sign somebody in: all but logout answers and clear refusals.

    Security: a refusal with an assertion in it is none, because a careless relying party may read only that.
    """
    try:
        elements = _elements(value)
    except Unreadable:
        return True
    if any(element.name.rpartition(" ")[2] in _ASSERTIONS for element in elements):
        return True
    if elements[0].name == LOGOUT_RESPONSE:
        return False
    codes = [element.attributes.get("Value") for element in elements if element.path == STATUS_CODE]
    return elements[0].name != RESPONSE or len(codes) != 1 or codes[0] in {None, "", SUCCESS}


def read_response(value: str) -> SamlResponse | None:
    """Return what a response that signs somebody in says of itself; None where it cannot be read."""
    try:
        elements = _elements(value)
    except Unreadable:
        return None
    if elements[0].name != RESPONSE:
        return None
    sessions = [element for element in elements if element.path == AUTHENTICATION]
    return SamlResponse(
        in_response_to=elements[0].attributes.get("InResponseTo", ""),
        audiences=frozenset(element.text.strip() for element in elements if element.path[1:] == AUDIENCE),
        session_index=sessions[0].attributes.get("SessionIndex", "") if len(sessions) == 1 else "",
        good_until=_earliest_end(elements),
    )


def decoded_message(value: str) -> bytes:
    """Return the XML of a `SAMLResponse` or `SAMLRequest`: deflated where it came by redirect.

    Raises:
        Unreadable: Not base64 that everybody reads alike, or not the whole of one deflated document.
    """
    try:
        document = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unreadable from error
    if document.startswith(b"<"):
        return document
    return _inflated(document)


def _elements(value: str) -> list[Element]:
    return read_elements(decoded_message(value))


def _inflated(deflated: bytes) -> bytes:
    inflating = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        document = inflating.decompress(deflated, LONGEST_DOCUMENT)
    except zlib.error as error:
        raise Unreadable from error
    if not inflating.eof or inflating.unused_data:
        raise Unreadable
    return document


def _earliest_end(elements: Iterable[Element]) -> dt.datetime | None:
    stated = (element.attributes.get("NotOnOrAfter") for element in elements)
    ends = [end for text in stated if text and (end := _moment(text))]
    return min(ends, default=None)


def _moment(text: str) -> dt.datetime | None:
    # Spec: SAML 2.0 core section 1.3.3, times are UTC and say so with a "Z".
    try:
        return dt.datetime.fromisoformat(text) if text.endswith("Z") else None
    except ValueError:
        return None
