"""Which directory of the settings keeps a federated person's password, and who has none that we may write."""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import structlog

from idp_plugin.base import Subject
from idp_plugin.keycloak.admin import KeycloakAdmin, part
from idp_plugin.settings import DirectorySettings

LDAP_ID = "LDAP_ID"
NOBODY = ""
"""`Subject.source` of an account that no writer owns."""

log = structlog.get_logger(__name__)


class Federations:
    """Finds the owner of a person's password. Thread-safe.

    A federation is known by its name or its id; both are compared, neither is guessed.
    """

    def __init__(self, admin: KeycloakAdmin, directories: Mapping[str, str]) -> None:
        """Take the table.

        Args:
            admin: Its account needs `query-users` (`manage-users` has it).
            directories: Names of directories in the settings, by the federation's name or id.
        """
        self._admin = admin
        self._directories = dict(directories)
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}

    def account(self, user: Mapping[str, Any]) -> Subject:
        """Return where a person's password lives.

        Args:
            user: As the admin API writes it, attributes included.

        Returns:
            The directory's entry, or the person at Keycloak itself; with `NOBODY` for a source where the
            password is at a place that the settings do not name, or at two places.
        """
        own = Subject(self._admin.issuer, str(user["id"]))
        link = str(user.get("federationLink") or "")
        if not link:
            return own
        nobody = Subject(NOBODY, own.id)
        directory, entry = self._directory(link), _first(user, LDAP_ID)
        if not directory or not entry:
            log.warning("federation_without_directory", federation=link)
            return nobody
        if self._has_own_password(own.id):
            # Security: Keycloak takes it beside the directory's, so a reset there would leave it working.
            log.warning("federated_person_with_a_second_password", federation=link)
            return nobody
        return Subject(directory, entry)

    def _directory(self, link: str) -> str:
        return self._directories.get(link) or self._directories.get(self._name(link), "")

    def _name(self, link: str) -> str:
        with self._lock:
            known = self._names.get(link)
        if known is not None:
            return known
        said = self._admin.get(f"user-storage/{part(link)}/name") or {}
        name = str(said.get("name", ""))
        with self._lock:
            self._names[link] = name
        return name

    def _has_own_password(self, user_id: str) -> bool:
        """Tell whether Keycloak keeps a password too, as federations that are `UNSYNCED` let it."""
        credentials = self._admin.get(f"users/{part(user_id)}/credentials") or ()
        return any(each.get("type") == "password" and not each.get("federationLink") for each in credentials)


def federations_of(directories: Iterable[DirectorySettings]) -> dict[str, str]:
    """Return names of directories by the federation that reads them."""
    return {each.read_by: each.name for each in directories}


def _first(user: Mapping[str, Any], name: str) -> str:
    return str(((user.get("attributes") or {}).get(name) or [""])[0])
