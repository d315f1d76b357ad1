"""One answer of the token endpoint: by which grant it was asked for, and whether it holds tokens. Pure.

Source: RFC 6749 sections 4 and 6; RFC 8628 section 3.4; OpenID Connect CIBA Core 1.0 section 10.1.
"""

import json
from typing import Any
from urllib.parse import parse_qsl

from gateway.interception.authorization_request import is_form
from gateway.plane.verdict import Headers
from idp_plugin.base import Exchange

PASSWORD = "password"  # noqa: S105 - a grant's name
REFRESH = "refresh_token"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
BACKCHANNEL = "urn:openid:params:grant-type:ciba"
NOT_ASKED = frozenset(
    {
        "authorization_code",
        "client_credentials",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:uma-ticket",
    }
)
"""A code was held when it was issued; the others sign nobody in, or go on from a token that was let go."""
TOKENS = frozenset({"access_token", "id_token", "refresh_token"})


def grant_of(exchange: Exchange) -> str:
    """Return the grant that a token request names; empty where it is not told for certain.

    Security: whatever two readers could read differently names no grant, and is asked about (S10).
    """
    body = exchange.request_body
    if not is_form(exchange.request_headers) or b";" in body:
        return ""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return ""
    named = [value for name, value in pairs if name == "grant_type"]
    return named[0] if len(named) == 1 and b"?" not in exchange.target else ""


def is_asked_about(exchange: Exchange) -> bool:
    """Tell, without looking anything up, whether an answer signs somebody in who was not held before."""
    return grant_of(exchange) not in NOT_ASKED and bool(tokens_of(exchange))


def tokens_of(exchange: Exchange) -> dict[str, Any]:
    """Return the provider's JSON where it holds tokens; empty for every other answer."""
    if exchange.status != 200 or not is_json(exchange.response_headers):
        return {}
    try:
        said = json.loads(exchange.response_body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) and TOKENS & said.keys() else {}


def is_json(headers: Headers) -> bool:
    """Tell whether a response is JSON, or says nothing of what it is."""
    types = [value for name, value in headers if name.lower() == b"content-type"]
    return not types or any(b"json" in value.lower() for value in types)
