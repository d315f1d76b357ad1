"""Ways round the gate, in words: for `sparekey check --network`. They are notes, because some are wanted."""

from collections.abc import Iterator

from gateway.settings import Settings
from idp_plugin.errors import IdpError
from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.keycloak.back_doors import realm_doors, routes
from idp_plugin.oidc_provider import OidcProvider

SHOWN = 20
"""Names of clients in one note; the number says how many there are."""
UNKNOWN_CLIENTS = (
    "our account may not list clients; with the role view-clients, for as long as the check runs, it says "
    "which take passwords at the token endpoint"
)
DIRECT_GRANTS = (
    "clients that take passwords at the token endpoint: {count} ({names}). Sparekey asks about those that "
    "come through it; switch off what is not needed"
)
SESSIONS_GO_ON = (
    "a reset ends none of the identity provider's: whoever is signed in there stays, also with a password "
    "that is not good any more, until the session ends by itself. Name `idp.sessions_path` if it has one"
)
OTHER_REALMS = "people of other realms, administrators in the realm master among them, are not asked about"


def back_doors(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield each way round as a part and what to know of it; what cannot be found out is yielded too."""
    if not settings.idp.ends_sessions:
        yield "sessions", SESSIONS_GO_ON
    provider = OidcProvider(settings.idp, public=settings.gateway.public)
    try:
        yield from _routes(provider)
        if settings.idp.kind == "keycloak":
            yield from _realm(KeycloakAdmin(settings.idp))
    except IdpError as error:
        yield "ways round", f"cannot be found out: {type(error).__name__}"
    finally:
        provider.close()


def _routes(provider: OidcProvider) -> Iterator[tuple[str, str]]:
    found = routes(provider)
    if found.elsewhere:
        named = ", ".join(found.elsewhere)
        yield "routes", f"the provider names these at another address, where nobody is asked: {named}"
    if found.is_on_a_network:
        yield (
            "idp.address",
            "is no loopback address: make sure that nobody but Sparekey reaches the provider there",
        )


def _realm(admin: KeycloakAdmin) -> Iterator[tuple[str, str]]:
    doors = realm_doors(admin)
    if doors.direct_grants is None:
        yield "direct grants", UNKNOWN_CLIENTS
    elif doors.direct_grants:
        names = ", ".join(doors.direct_grants[:SHOWN])
        yield "direct grants", DIRECT_GRANTS.format(count=len(doors.direct_grants), names=names)
    if doors.resets_itself is None:
        yield "forgot password", "our account may not read whether Keycloak's own is on (role view-realm)"
    elif doors.resets_itself:
        yield "forgot password", "Keycloak's own is on, and knows none of the policy"
    yield "other realms", OTHER_REALMS
