"""The head of one question of a proxy: refused, or understood in exactly one way."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.forward_auth.asked import READ_OF_BROWSER, READ_OF_PROXY, Asked, Proxies, read_asked
from gateway.forward_auth.settings import States
from gateway.plane.request_head import Peer, Refused, RequestHead, Rules
from gateway.plane.rewriting import Field, named_by_connection

FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_READ = {states: READ_OF_BROWSER | own | FRAMING for states, own in READ_OF_PROXY.items()}

_BEHIND: Mapping[States, frozenset[bytes]] = {
    "x_original": frozenset({b"", b"?"}),
    "x_forwarded": frozenset({b"", b"?"}),
    "path": frozenset({b"", b"?", b"/"}),
}
"""What may follow our own path."""


@dataclass(slots=True)
class AskHead(RequestHead):
    """A question, with what it is about."""

    asked: Asked | None = None
    """None only before it was read."""


def reader(path: bytes, proxies: Proxies) -> Callable[..., AskHead]:
    """Return what reads the questions that are asked at `path`, as `Listener` calls it."""

    def read(
        method: bytes, target: bytes, version: str, fields: list[Field], *, rules: Rules, peer: Peer
    ) -> AskHead:
        del rules
        states = proxies.states(peer.address)
        if states is None:
            # Security: nobody else learns anything here (S13).
            raise Refused(403, "not_listed")
        if version not in {"1.1", "1.0"}:
            raise Refused(400, "version")
        if not target.startswith(path):
            raise Refused(404, "path")
        behind = target[len(path) :]
        # Caddy leaves the browser's query behind our path; it states nothing there.
        if behind[:1] not in _BEHIND[states]:
            raise Refused(404, "path")
        if behind[:1] == b"?":
            behind = b"/" + behind
        found = _found(fields, _READ[states])
        # Security: no proxy sends a body here; one that does is smuggling something (S13).
        if b"transfer-encoding" in found or found.get(b"content-length", b"0") != b"0":
            raise Refused(400, "body")
        is_http_1_0 = version == "1.0"
        head = AskHead(method, target, path, peer.address, [], is_http_1_0, not is_http_1_0)
        if b"connection" in found and b"close" in named_by_connection(found[b"connection"]):
            head.keep_alive = False
        head.asked = read_asked(states, method, behind, found)
        return head

    return read


def _found(fields: list[Field], names: frozenset[bytes]) -> dict[bytes, bytes]:
    """Return the fields that are read.

    Raises:
        Refused: 400. Security: of two values, two readers choose two.
    """
    found: dict[bytes, bytes] = {}
    for name, value in fields:
        lower = name.lower()
        if lower not in names:
            continue
        if lower not in found:
            found[lower] = value
        elif lower == b"cookie":
            found[lower] += b"; " + value
        else:
            raise Refused(400, "twice")
    return found
