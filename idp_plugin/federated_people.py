"""People as Keycloak finds them, with what the directory behind their federation knows of their account.

Keycloak says neither that the directory has locked somebody, nor that the password expired, nor who is
powerful there; all of that is told early or refused, so the owner of the password is asked as well.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from idp_plugin.base import Directory, Identity, Subject


class FederatedPeople:
    """A `Directory` over Keycloak's and those behind its federations. Thread-safe where they are."""

    def __init__(self, people: Directory, owners: Mapping[str, Directory]) -> None:
        """Take the places.

        Args:
            people: Finds everybody; its people's accounts name their owner.
            owners: By the `source` of such accounts; whoever has none here stays as found.
        """
        self._people = people
        self._owners = dict(owners)

    def find(self, identifier: str) -> Identity | None:
        """Return the one person whom a typed identifier names; see `Directory`."""
        return self._joined(self._people.find(identifier))

    def get(self, subject: Subject) -> Identity | None:
        """Return the person with this `Identity.subject`."""
        return self._joined(self._people.get(subject))

    def everyone(self, groups: Iterable[str] = ()) -> Iterable[Identity]:
        """Yield people as Keycloak knows them; their owners are not asked one by one."""
        return self._people.everyone(groups)

    def _joined(self, found: Identity | None) -> Identity | None:
        owner = self._owners.get(found.account.source) if found else None
        if found is None or owner is None:
            return found
        entry = owner.get(Subject(found.subject.source, found.account.id))
        # Security: Keycloak remembers whom the directory has not, until it looks again.
        return _with(found, entry) if entry and entry.account == found.account else None


def _with(found: Identity, entry: Identity) -> Identity:
    """Return a person with the stricter of two words on the account, and the directory's on the password."""
    return replace(
        found,
        phones=tuple(dict.fromkeys((*entry.phones, *found.phones))),
        trusted_phones=entry.trusted_phones,
        enabled=found.enabled and entry.enabled,
        locked=found.locked or entry.locked,
        privileged=found.privileged or entry.privileged,
        password_state=entry.password_state,
        may_change_password=entry.may_change_password,
        may_change_password_after=entry.may_change_password_after,
    )
