"""Which adapters stand for the identity provider and for the place that keeps passwords."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.settings import Settings
from idp_plugin.base import AccountLocks, Directory, IdpSessions, PasswordWriter
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.keycloak.directory import KeycloakDirectory
from idp_plugin.keycloak.sessions import KeycloakSessions
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.oidc_sessions import OidcSessions


@dataclass(frozen=True, slots=True)
class Provider:
    """The adapters that the settings ask for."""

    oidc: OidcProvider
    directory: Directory
    """Finds people."""
    writer: PasswordWriter
    """Writes passwords."""
    sessions: IdpSessions
    """Ends sessions."""
    locks: AccountLocks | None
    """Ends the identity provider's own lock; None where it has none that can be ended."""
    close: Callable[[], None]


def open_provider(settings: Settings) -> Provider:
    """Return the adapters; nothing is asked yet."""
    oidc = OidcProvider(settings.idp, public=settings.gateway.public)
    ldap = OpenLdap(settings.directories[0], settings.idp.issuer)
    if settings.idp.kind == "oidc":
        return Provider(oidc, ldap, ldap, OidcSessions(oidc), None, oidc.close)
    admin = KeycloakAdmin(settings.idp)
    directory = KeycloakDirectory(admin, directory=settings.directories[0].name)
    return Provider(oidc, directory, ldap, KeycloakSessions(admin), directory, oidc.close)
