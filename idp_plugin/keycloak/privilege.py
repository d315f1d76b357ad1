"""Whether somebody has power in the realm (S18): the least role that resets a password resets anybody's."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from idp_plugin.errors import NotPermitted
from idp_plugin.keycloak.admin import KeycloakAdmin, part

ADMINISTRATION = "realm-management"
POWERFUL_REALM_ROLES = frozenset({"admin", "create-realm", "realm-admin"})


class Privileges:
    """Reads effective roles: composites and those of groups included."""

    def __init__(self, admin: KeycloakAdmin) -> None:
        self._admin = admin

    def realm_roles(self, user_id: str) -> frozenset[str]:
        """Return the names of the person's effective realm roles."""
        return _names(self._admin.get(f"users/{part(user_id)}/role-mappings/realm/composite"))

    def has_power(self, user: Mapping[str, Any]) -> bool:
        """Tell whether somebody has power, read now.

        Args:
            user: As the admin API writes it.
        """
        user_id = str(user["id"])
        if user.get("serviceAccountClientId"):
            return True
        return self.is_privileged(user_id, self.realm_roles(user_id))

    def is_privileged(self, user_id: str, realm_roles: Iterable[str]) -> bool:
        """Tell whether the person may administer anything; unreadable means yes."""
        # Security: everybody of the master realm may reach every other realm's administration.
        if self._admin.realm == "master" or POWERFUL_REALM_ROLES.intersection(realm_roles):
            return True
        client = self._administration_client
        if not client:
            return True
        path = f"users/{part(user_id)}/role-mappings/clients/{part(client)}/composite"
        try:
            roles = self._admin.get(path)
        except NotPermitted:
            return True
        return roles is None or bool(roles)

    @cached_property
    def _administration_client(self) -> str:
        """The internal id of the client that holds the realm's administration roles.

        Our account has one of its roles, so its own mappings name it; listing clients would need more rights.
        """
        own = self._admin.own_subject()
        mappings = self._admin.get(f"users/{part(own)}/role-mappings") if own else None
        clients = (mappings or {}).get("clientMappings", {})
        return str(clients.get(ADMINISTRATION, {}).get("id", ""))


def _names(roles: Any) -> frozenset[str]:
    return frozenset(str(role["name"]) for role in roles or ())
