"""Whose request this is: the peer's address, or what a trusted proxy says of it."""

import ipaddress
import re
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDED_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("[^"]*"|[^;]*)', re.IGNORECASE)
MAX_HOPS = 32


class TrustedProxies:
    """The networks whose `X-Forwarded-For` and `Forwarded` are believed.

    Args:
        networks: As in `GatewaySettings.trusted_proxies`; empty trusts nobody.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks: tuple[Network, ...] = tuple(
            ipaddress.ip_network(network, strict=False) for network in networks
        )

    def trusts(self, peer: str) -> bool:
        """Tell whether this peer is a trusted proxy."""
        address = _address(peer) if self._networks else None
        return address is not None and self._covers(address)

    def client(self, peer: str, forwarded_for: list[bytes], forwarded: list[bytes]) -> str:
        """Return the address of the client behind a peer that is trusted.

        The list is read from the right: the first address that is not a trusted proxy's is the client,
        because whatever stands left of it was written by the client.

        Args:
            forwarded_for: Values of `X-Forwarded-For`, in order. They win over `Forwarded`: a proxy that
                writes one must drop the other.
            forwarded: Values of `Forwarded`, in order.
        Source: RFC 7239 sections 4 and 6.
        """
        text = b",".join(forwarded_for or forwarded).decode("latin-1")
        hops = text.split(",")[-MAX_HOPS:] if text.strip() else []
        client = peer
        for hop in reversed(hops):
            address = _address(hop if forwarded_for else _for_parameter(hop))
            if address is None:
                break
            client = str(address)
            if not self._covers(address):
                break
        return client

    def _covers(self, address: Address) -> bool:
        return any(address in network for network in self._networks)


def _for_parameter(element: str) -> str:
    found = FORWARDED_FOR.search(element)
    return found[1].strip().strip('"') if found else ""


def _address(text: str) -> Address | None:
    """Read an address with or without port and brackets; None for names, `unknown` and nonsense."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address
