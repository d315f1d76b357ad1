"""Ways round the gate that can be seen from the provider's own settings (S14). Blocking; changes nothing."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from idp_plugin.errors import IdpMisconfigured, NotPermitted
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.oidc_provider import OidcProvider

BROWSER_ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "backchannel_authentication_endpoint",
    "pushed_authorization_request_endpoint",
)
MOST_CLIENTS = 10_000


@dataclass(frozen=True, slots=True)
class Routes:
    """How the provider can be reached without passing here."""

    elsewhere: tuple[str, ...]
    """Endpoints that its metadata names at another origin than the public one."""
    is_on_a_network: bool
    """Whether our own address for it is one that other machines may reach."""


@dataclass(frozen=True, slots=True)
class RealmDoors:
    """What one realm of Keycloak allows beside the sign-in page."""

    direct_grants: tuple[str, ...] | None
    """Clients to which a password may be sent for tokens; None where our account may not list clients."""
    resets_itself: bool | None
    """Whether Keycloak's own "forgot password" is on; None where our account may not read it."""


def routes(provider: OidcProvider) -> Routes:
    """Return how the provider says, and shows, that it can be reached.

    Raises:
        IdpUnavailable: It does not answer.
        IdpMisconfigured: Its metadata cannot be read.
    """
    named = {name: provider.metadata.get(name) for name in BROWSER_ENDPOINTS}
    elsewhere = [
        name
        for name, address in named.items()
        if isinstance(address, str) and not address.startswith(f"{provider.public}/")
    ]
    return Routes(tuple(elsewhere), not _is_loopback(provider.address))


def realm_doors(admin: KeycloakAdmin) -> RealmDoors:
    """Return what the realm allows, as far as our account may read it.

    Raises:
        IdpUnavailable: It does not answer.
    """
    return RealmDoors(_direct_grants(admin), _resets_itself(admin))


def _direct_grants(admin: KeycloakAdmin) -> tuple[str, ...] | None:
    try:
        clients = admin.get("clients", max=MOST_CLIENTS)
    except (NotPermitted, IdpMisconfigured):
        return None
    # To who may only search, Keycloak lists nothing, and does not say why; every realm has clients.
    if not clients:
        return None
    taking = [each for each in clients if each.get("directAccessGrantsEnabled") and each.get("enabled")]
    return tuple(sorted(str(each.get("clientId")) for each in taking))


def _resets_itself(admin: KeycloakAdmin) -> bool | None:
    try:
        allowed = (admin.get("") or {}).get("resetPasswordAllowed")
    except (NotPermitted, IdpMisconfigured):
        return None
    return allowed if isinstance(allowed, bool) else None


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
