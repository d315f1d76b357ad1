"""What the proxy asks of interception, and the answers. The only thing the two know of each other."""

from dataclasses import dataclass
from typing import Protocol

from idp_plugin.base import Exchange

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Pass:
    """Send the response on. `body` and `add_headers` differ from the upstream's only for changed pages."""

    add_headers: Headers = ()
    body: bytes | None = None
    """A changed page; None leaves it byte for byte. The proxy recomputes Content-Length."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Send this instead; of the upstream's fields only `Set-Cookie` survives, and only where asked."""

    status: int
    headers: Headers
    body: bytes = b""
    keep_cookies: bool = True


Verdict = Pass | Replace


@dataclass(frozen=True, slots=True)
class Asked:
    """One request on its way to the identity provider, as parsed; the body is not here."""

    method: bytes
    target: bytes
    headers: Headers
    client: str
    """The person's address after trusted proxies were believed."""


class Interceptor(Protocol):
    """Called by the proxy for each forwarded request. The first three run on the event loop: no I/O."""

    def keeps_request_body(self, asked: Asked) -> bool:
        """Tell whether the request body (at most 64 kB, form-encoded) must be kept for `examine`."""

    def needs_body(self, asked: Asked, status: int, headers: Headers) -> bool:
        """Tell whether the whole response must be read before it is passed on.

        Called once the response head is there. True only where a page may get the link or may be a
        sign-in answer (HTML), or where the head alone may be one (redirects): then `examine` follows. False:
        the response streams through byte for byte and `examine` is not called.
        """

    def wants_identity(self, asked: Asked) -> bool:
        """Tell whether to ask the identity provider for an unencoded answer (S8)."""

    async def examine(self, asked: Asked, exchange: Exchange) -> Verdict:
        """Decide about one complete response. Never raises: a fault is a verdict too (S10)."""


class PassAll:
    """An interceptor that changes nothing: for tests of the plane, and the measured baseline."""

    def keeps_request_body(self, asked: Asked) -> bool:
        """Keep nothing."""
        del asked
        return False

    def needs_body(self, asked: Asked, status: int, headers: Headers) -> bool:
        """Read nothing."""
        del asked, status, headers
        return False

    def wants_identity(self, asked: Asked) -> bool:
        """Leave encodings alone."""
        del asked
        return False

    async def examine(self, asked: Asked, exchange: Exchange) -> Verdict:
        """Pass."""
        del asked, exchange
        return Pass()
