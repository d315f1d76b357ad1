"""Whose member somebody is, groups within groups included, and whether that gives power (S18)."""

from collections.abc import Sequence

from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.names import comparable, leaf

MOST_GROUPS = 1000
"""Beyond this many the answer is given up, and counts as privileged."""

_MEMBERS = ("member", "uniqueMember")
_NAMES = "memberUid"


class TooManyGroups(Exception):
    """Following memberships did not end within `MOST_GROUPS`."""


class GroupReader:
    """Reads memberships over one open connection, each group once. Lives for one operation."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._parents: dict[str, tuple[str, ...]] = {}
        self._members_of: dict[str, frozenset[str]] = {}

    def of(self, person: Entry) -> tuple[str, ...]:
        """Return the DNs of all groups, nested ones included, in no particular order.

        Raises:
            TooManyGroups: See above.
        """
        found: dict[str, str] = {}
        ahead = list(person.all("memberOf"))
        while ahead:
            group = ahead.pop()
            if comparable(group) in found:
                continue
            if len(found) >= MOST_GROUPS:
                raise TooManyGroups
            found[comparable(group)] = group
            ahead.extend(self._parents_of(group))
        return tuple(found.values())

    def _parents_of(self, group: str) -> tuple[str, ...]:
        key = comparable(group)
        if key not in self._parents:
            entries = self._session.search(group, "(objectClass=*)", ["memberOf"], below=False)
            self._parents[key] = entries[0].all("memberOf") if entries else ()
        return self._parents[key]

    def is_protected(self, person: Entry, username: str, protected: Sequence[str]) -> bool:
        """Tell whether somebody belongs to a protected group; what cannot be read counts as yes."""
        try:
            names = {comparable(dn) for dn in (person.dn, *self.of(person))}
        except TooManyGroups:
            return True
        # The groups are asked themselves, too: not every server keeps `memberOf`.
        return any(
            comparable(group) in names
            or not self._members(group)
            or self._members(group) & {*names, username.lower()}
            for group in protected
        )

    def _members(self, group: str) -> frozenset[str]:
        """Return a group's direct members, comparable; empty where it is missing or cannot be read."""
        key = comparable(group)
        if key not in self._members_of:
            found = self._session.search(group, "(objectClass=*)", [*_MEMBERS, _NAMES], below=False)
            dns = (comparable(dn) for entry in found for name in _MEMBERS for dn in entry.all(name))
            names = (name.lower() for entry in found for name in entry.all(_NAMES))
            self._members_of[key] = frozenset([*dns, *names])
        return self._members_of[key]


def group_names(dns: Sequence[str]) -> frozenset[str]:
    """Return the groups' own names without their place in the tree."""
    return frozenset(name for name in map(leaf, dns) if name)
