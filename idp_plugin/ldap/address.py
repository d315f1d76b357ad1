"""Where a directory listens."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from idp_plugin.errors import IdpMisconfigured


@dataclass(frozen=True, slots=True)
class Server:
    """One address of a directory."""

    host: str
    port: int
    start_tls: bool
    """`ldap://`: upgraded before anything is sent; otherwise TLS from the first byte."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_server(address: str) -> Server:
    """Read `ldaps://host[:636]` or `ldap://host[:389]`.

    Raises:
        IdpMisconfigured: Anything else.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise IdpMisconfigured(f"server address {address}") from None
    if parts.scheme not in {"ldap", "ldaps"} or not parts.hostname or parts.path not in {"", "/"}:
        raise IdpMisconfigured(f"server address {address}")
    start_tls = parts.scheme == "ldap"
    return Server(parts.hostname, port or (389 if start_tls else 636), start_tls)
