"""People as Keycloak knows them; federated ones with the directory entry that keeps their password."""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import structlog

from idp_plugin.base import Identity, PasswordState, Subject
from idp_plugin.keycloak.account_state import password_state, password_written_at
from idp_plugin.keycloak.admin import KeycloakAdmin, part
from idp_plugin.keycloak.federations import NOBODY, Federations
from idp_plugin.keycloak.password_policy import RealmPolicyReader
from idp_plugin.keycloak.privilege import Privileges

PAGE = 100
LONGEST_IDENTIFIER = 255

log = structlog.get_logger()


def utc_now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.UTC)


class KeycloakDirectory:
    """Finds people and ends their locks through the admin API.

    The service account needs `view-users` (`manage-users` has it).

    Args:
        federations: Names of directories in the settings, by name or id of the federation that reads them.
        clock: Aware UTC.
    """

    def __init__(
        self,
        admin: KeycloakAdmin,
        *,
        federations: Mapping[str, str] | None = None,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._admin = admin
        self._federations = Federations(admin, federations or {})
        self._policies = RealmPolicyReader(admin)
        self._privileges = Privileges(admin)
        self._clock = clock

    def find(self, identifier: str) -> Identity | None:
        """Return the one person with this user name or mail address."""
        typed = identifier.strip()
        if not typed or len(typed) > LONGEST_IDENTIFIER or not identifier.isprintable():
            return None
        found = {user["id"]: user for user in self._matches(typed)}
        if len(found) > 1:
            # Security: nobody is chosen among several; the text itself is not logged (S7).
            log.warning("identifier_names_several", matches=len(found), alarm=True)
            return None
        return next((self._identity(user) for user in found.values()), None)

    def get(self, subject: Subject) -> Identity | None:
        """Return the person with this id."""
        if subject.source != self._admin.issuer or not subject.id:
            return None
        user = self._admin.get(f"users/{part(subject.id)}")
        return self._identity(user) if user else None

    def everyone(self, groups: Iterable[str] = ()) -> Iterator[Identity]:
        """Yield everybody, or the members of groups given by path, each person once."""
        paths = tuple(groups)
        lists = [self._group_members(path) for path in paths] or ["users"]
        seen: set[str] = set()
        for path in filter(None, lists):
            for user in self._pages(path):
                if user["id"] not in seen:
                    seen.add(user["id"])
                    yield self._identity(user)

    def _matches(self, typed: str) -> Iterator[dict[str, Any]]:
        # Keycloak compares exactly but in its own letter case; what it returns is compared once more, so
        # that no search syntax in what was typed can ever widen the match.
        for attribute in ("username", "email"):
            for user in self._admin.get("users", exact=True, max=3, **{attribute: typed}) or ():
                if str(user.get(attribute, "")).casefold() == typed.casefold():
                    yield user

    def _group_members(self, path: str) -> str:
        group = self._admin.get(f"group-by-path/{'/'.join(map(part, path.strip('/').split('/')))}")
        return f"groups/{part(group['id'])}/members" if group else ""

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        first = 0
        while page := self._admin.get(path, first=first, max=PAGE, briefRepresentation=False):
            yield from page
            first += len(page)

    def _identity(self, user: dict[str, Any]) -> Identity:
        user_id = str(user["id"])
        subject = Subject(self._admin.issuer, user_id)
        attributes = user.get("attributes") or {}
        account = self._federations.account(user)
        roles = self._privileges.realm_roles(user_id)
        names = (str(user.get("firstName", "")), str(user.get("lastName", "")))
        return Identity(
            subject=subject,
            account=account,
            username=str(user.get("username", "")),
            display_name=" ".join(filter(None, names)),
            emails=tuple(filter(None, [str(user.get("email", ""))])),
            groups=self._groups(user_id),
            roles=roles,
            locale=str((attributes.get("locale") or [""])[0]),
            enabled=bool(user.get("enabled")),
            locked=self._is_locked(user_id),
            # Security: what the unknown owner of a password says of its power cannot be read (S18).
            privileged=account.source == NOBODY
            or bool(user.get("serviceAccountClientId"))
            or self._privileges.is_privileged(user_id, roles),
            password_state=self._state(user) if account == subject else PasswordState.UNKNOWN,
            # What Keycloak keeps itself is changed on its own page: see `password_write`.
            may_change_password=account != subject,
        )

    def _state(self, user: Mapping[str, Any]) -> PasswordState:
        maximum_age = self._policies.read().maximum_age
        written = 0
        if maximum_age:
            written = password_written_at(self._admin.get(f"users/{part(str(user['id']))}/credentials"))
        return password_state(user, written, maximum_age, self._clock())

    def _groups(self, user_id: str) -> frozenset[str]:
        """Return group paths such as `/staff`: as Keycloak's own group mapper writes them by default."""
        return frozenset(str(group["path"]) for group in self._pages(f"users/{part(user_id)}/groups"))

    def _is_locked(self, user_id: str) -> bool:
        status = self._admin.get(f"attack-detection/brute-force/users/{part(user_id)}") or {}
        return bool(status.get("disabled"))

    def clear(self, subject: Subject) -> bool:
        """Forget failed sign-ins where they lock the account; see `base.AccountLocks`.

        Needs `manage-users`. An account that an administrator switched off stays so: Keycloak tells both
        alike, and forgets only failures.
        """
        if subject.source != self._admin.issuer or not subject.id or not self._is_locked(subject.id):
            return False
        self._admin.delete(f"attack-detection/brute-force/users/{part(subject.id)}")
        return True
