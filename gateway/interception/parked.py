"""An answer of the identity provider, packed so that it can be delivered later, once."""

import base64
import datetime as dt
import json
from dataclasses import dataclass, field

from gateway.plane.verdict import Headers
from idp_plugin.base import AuthorizationAnswer, Exchange
from idp_plugin.saml_response import read_response

DELIVERED = frozenset({b"location", b"content-type", b"content-security-policy"})
"""The only fields of the held answer that are delivered; its cookies reached the browser when it was held."""
ON_THE_WAY = dt.timedelta(seconds=5)
"""What the browser may take from here to the relying party."""
HARDENED: Headers = (
    (b"Cache-Control", b"no-store"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Content-Type-Options", b"nosniff"),
)


@dataclass(frozen=True, slots=True)
class Parked:
    """Send this to the browser, byte for byte; its Location or its form carries the code.

    A page's headers must stay as they are: its form submits itself by the script that its own policy allows.
    """

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def pack(exchange: Exchange) -> bytes:
    """Return what is needed to deliver the exchange's response."""
    fields = [(name, value) for name, value in exchange.response_headers if name.lower() in DELIVERED]
    record = {
        # Security: 307 and 308 would post the release form's fields on to the application.
        "status": 303 if 300 <= exchange.status < 400 else exchange.status,
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in fields],
        "body": base64.b64encode(exchange.response_body).decode(),
    }
    return json.dumps(record).encode()


def parked_until(
    answer: AuthorizationAnswer, *, now: dt.datetime, default: dt.timedelta, most: dt.timedelta
) -> dt.datetime:
    """Return until when an answer may be delivered: a SAML response states it, of a code it is known."""
    response = read_response(answer.parameters.get("SAMLResponse", ""))
    if response is None or response.good_until is None:
        return now + default
    return min(response.good_until - ON_THE_WAY, now + most)


def unpack(packed: bytes) -> Parked:
    """Return a packed answer."""
    record = json.loads(packed)
    fields = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in record["headers"])
    return Parked(record["status"], fields + HARDENED, base64.b64decode(record["body"]))
