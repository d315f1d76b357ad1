"""What must be so before a configuration is worth printing, and who knows the provider's addresses."""

import ipaddress
from collections.abc import Iterator, Sequence

from gateway.data_plane import guard
from gateway.data_plane.guard import Guarded
from gateway.data_plane.nginx import Edge, Recognised
from gateway.interception.assembly import redirect_uri
from gateway.plane.client_address import TrustedProxies
from gateway.settings import GatewaySettings, Settings
from idp_plugin.keycloak.recogniser import KeycloakRecogniser
from idp_plugin.oidc import OidcRecogniser
from idp_plugin.oidc_provider import OidcProvider


class NotReadyError(Exception):
    """The settings do not fit a server in front; the message says all that is missing."""


def recognised(settings: Settings, edge: Edge) -> Recognised:
    """Return what knows the provider's authorization endpoint and session cookies.

    Raises:
        NotReadyError: The settings are those of a gateway that people reach directly.
    """
    missing = [*_missing(settings.gateway, edge)]
    if edge.guarded:
        missing += guard.missing(settings, edge.guarded)
    if missing:
        raise NotReadyError("; ".join(missing))
    provider = OidcProvider(settings.idp, public=settings.gateway.public)
    address = redirect_uri(settings.gateway)
    if settings.idp.kind == "keycloak":
        return KeycloakRecogniser(provider, redirect_uri=address)
    return OidcRecogniser(provider, redirect_uri=address)


def check_guard(settings: Settings, guarded: Sequence[Guarded]) -> None:
    """Make sure that applications can be guarded by a server that carries nothing of the provider.

    Raises:
        NotReadyError: They cannot.
    """
    missing = [*_missing_socket(settings.gateway), *guard.missing(settings, guarded)]
    if missing:
        raise NotReadyError("; ".join(missing))


def _missing_socket(gateway: GatewaySettings) -> Iterator[str]:
    if gateway.data_plane_socket is None:
        yield "gateway.data_plane_socket is not set"
    elif not gateway.data_plane_socket.is_absolute():
        yield "gateway.data_plane_socket must be an absolute path"


def _missing(gateway: GatewaySettings, edge: Edge) -> Iterator[str]:
    yield from _missing_socket(gateway)
    if gateway.tls:
        yield "gateway.tls must not be set: the server in front has the certificate"
    host = gateway.listen.rpartition(":")[0].strip("[]")
    if not _is_loopback(host):
        yield "gateway.listen must be on loopback: whoever reaches it goes round the server in front"
    elif not TrustedProxies(gateway.trusted_proxies).trusts(host):
        yield f"gateway.trusted_proxies must contain {host}: else everybody has the server's address"
    if gateway.is_https and not (edge.certificate and edge.key):
        yield "--certificate and --key are needed for https"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
