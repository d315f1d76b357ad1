"""The cookies that the plane sets, as raw header fields."""

import re
import secrets
from dataclasses import dataclass, field

from gateway.cookies import Cookie, cookie_name
from gateway.plane.verdict import Headers
from gateway.settings import GatewaySettings

HOLD_SECONDS = 600
REQUESTS_SECONDS = 86_400
SATISFIED_SECONDS = 300
_SHAPE = re.compile(rb"[A-Za-z0-9_-]{32}")


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser, by the random id in its cookie."""

    id: str = field(repr=False)
    set_cookie: Headers = ()
    """What gives a new browser its id; empty for one that has it."""


class PlaneCookies:
    """Reads and makes them.

    Authorization requests may arrive by a cross-site POST, so over HTTPS the browser's id is sent with
    those too (`SameSite=None`); it opens nothing by itself. Over plain HTTP, on loopback, it is `Lax`.
    """

    def __init__(self, settings: GatewaySettings) -> None:
        self._requests = cookie_name(Cookie.REQUESTS, settings).encode()
        self._hold = cookie_name(Cookie.HOLD, settings).encode()
        secure = b"; Secure" if settings.is_https else b""
        cross_site = b"None" if settings.is_https else b"Lax"
        end = b"; Path=/; HttpOnly; Max-Age=%d; SameSite=%b" + secure
        self._requests_end = end % (REQUESTS_SECONDS, cross_site)
        self._hold_end = end % (HOLD_SECONDS, b"Lax")
        self._satisfied = cookie_name(Cookie.SATISFIED, settings).encode()
        self._satisfied_end = end % (SATISFIED_SECONDS, b"Lax")
        self._decided = cookie_name(Cookie.DECIDED, settings).encode()

    def browser(self, headers: Headers) -> Browser:
        """Return the browser that sent a request, a new one where the cookie is missing, odd or doubled."""
        brought = set(_values(headers, self._requests))
        if len(brought) == 1:
            value = brought.pop()
            if _SHAPE.fullmatch(value):
                return Browser(value.decode())
        made = secrets.token_urlsafe(24)
        line = self._requests + b"=" + made.encode() + self._requests_end
        return Browser(made, ((b"Set-Cookie", line),))

    def hold(self, hold_id: str, secret: str) -> Headers:
        """Return what gives the browser the secret of one hold."""
        line = b"%b-%b=%b%b" % (self._hold, hold_id.encode(), secret.encode(), self._hold_end)
        return ((b"Set-Cookie", line),)

    def satisfied(self, token: str) -> Headers:
        """Return what gives the browser its claim for an outage."""
        return ((b"Set-Cookie", self._satisfied + b"=" + token.encode() + self._satisfied_end),)

    def decided(self, application: str, token: str) -> Headers:
        """Return what gives the browser its claim for a native data plane."""
        line = b"%b-%b=%b%b" % (self._decided, application.encode(), token.encode(), self._satisfied_end)
        return ((b"Set-Cookie", line),)

    def satisfied_claims(self, headers: Headers) -> list[str]:
        """Return the claims that a request brings."""
        return [value.decode("latin-1") for value in _values(headers, self._satisfied)]


def _values(headers: Headers, cookie: bytes) -> list[bytes]:
    values = []
    for name, value in headers:
        if name.lower() == b"cookie" and cookie in value:
            pairs = (pair.strip().partition(b"=") for pair in value.split(b";"))
            values += [given for key, _, given in pairs if key == cookie]
    return values
