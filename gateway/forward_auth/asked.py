"""What a browser asked an application for, as its proxy states it.

Each proxy has one way of stating it, and nothing else that it sends is read: proxies pass the browser's own
header fields along, so a field that this proxy does not set may be a stranger's (S13).

Source: nginx, ngx_http_auth_request_module; Traefik, ForwardAuth; Caddy, forward_auth; Envoy, HTTP ext_authz.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.forward_auth.settings import ForwardAuthProxySettings, States
from gateway.plane.request_head import TARGET, Refused

Fields = Mapping[bytes, bytes]
"""Header fields by their names in lower case; those that stand more than once are not in it, but for
`cookie`, whose values are joined."""

READ_OF_BROWSER = frozenset({b"cookie", b"accept", b"x-requested-with", b"sec-fetch-mode", b"sec-fetch-dest"})
"""What the browser itself said; whoever lies here lies about himself."""
READ_OF_PROXY: Mapping[States, frozenset[bytes]] = {
    "x_original": frozenset({b"x-original-url", b"x-original-method"}),
    "x_forwarded": frozenset({b"x-forwarded-host", b"x-forwarded-uri", b"x-forwarded-method"}),
    "path": frozenset({b"host"}),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a browser to an application."""

    host: bytes
    """As the proxy states it, in lower case."""
    target: bytes
    """Path and query; printable ASCII."""
    cookies: bytes
    is_navigation: bool
    """Whether a person opens a page, and would see where a redirect leads."""
    follows: bool
    """Whether the proxy passes a redirect on; otherwise it wants 401 and the address beside it."""


class Proxies:
    """Who may ask, and how each states what was asked for."""

    def __init__(self, settings: Iterable[ForwardAuthProxySettings]) -> None:
        self._networks = tuple(
            (ipaddress.ip_network(each.address, strict=False), each.states) for each in settings
        )
        self.states = lru_cache(maxsize=256)(self._states)

    def _states(self, peer: str) -> States | None:
        """Return how the proxy at an address states what was asked for; None for a stranger."""
        address = ipaddress.ip_address(peer)
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped if isinstance(mapped, ipaddress.IPv4Address) else address
        return next((states for network, states in self._networks if address in network), None)


def read_asked(states: States, method: bytes, behind: bytes, fields: Fields) -> Asked:
    """Return what the browser asked for.

    Args:
        method: Of the request to us.
        behind: What stands behind our own path in the target of that request, with its query.

    Raises:
        Refused: 400: the proxy does not state it, or not in one way.
    """
    if states == "x_original":
        host, target = _split(fields.get(b"x-original-url", b""))
        method = fields.get(b"x-original-method", b"")
    elif states == "x_forwarded":
        host = fields.get(b"x-forwarded-host", b"").lower()
        target = fields.get(b"x-forwarded-uri", b"")
        method = fields.get(b"x-forwarded-method", b"")
    else:
        host, target = fields.get(b"host", b"").lower(), behind or b"/"
    if not host or not method or not TARGET.fullmatch(target):
        raise Refused(400, "unstated")
    return Asked(
        host, target, fields.get(b"cookie", b""), _is_navigation(method, fields), states != "x_original"
    )


def _split(url: bytes) -> tuple[bytes, bytes]:
    scheme, separator, rest = url.partition(b"://")
    host, slash, target = rest.partition(b"/")
    if scheme not in {b"http", b"https"} or not separator:
        return b"", b""
    return host.lower(), slash + target


def _is_navigation(method: bytes, fields: Fields) -> bool:
    """Tell whether a redirect would be seen by a person. Source: W3C, Fetch Metadata Request Headers."""
    if method not in {b"GET", b"HEAD"}:
        return False
    mode = fields.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate" and fields.get(b"sec-fetch-dest", b"document") == b"document"
    return b"text/html" in fields.get(b"accept", b"") and b"x-requested-with" not in fields
