"""Whose member somebody is, groups within groups included, and whether that gives power (S18)."""

from collections.abc import Sequence

from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.names import comparable, equals, leaf

MOST_GROUPS = 1000
"""Beyond this many the answer is given up, and counts as privileged."""

_MEMBER_ATTRIBUTES = ("member", "uniqueMember", "memberUid")


class TooManyGroups(Exception):
    """Following memberships did not end within `MOST_GROUPS`."""


class GroupReader:
    """Reads memberships over one open connection, each group once. Lives for one operation."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._parents: dict[str, tuple[str, ...]] = {}
        self._entries: dict[str, Entry | None] = {}

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
            dns = (person.dn, *self.of(person))
        except TooManyGroups:
            return True
        names = {comparable(dn) for dn in dns}
        return any(comparable(group) in names or self._lists(group, dns, username) for group in protected)

    def _lists(self, group: str, dns: Sequence[str], username: str) -> bool:
        """Ask the group itself, where `memberOf` is not kept or not readable."""
        tests = [equals(attribute, dn) for attribute in ("member", "uniqueMember") for dn in dns]
        tests.append(equals("memberUid", username))
        listed = self._session.search(group, f"(|{''.join(tests)})", ["1.1"], below=False)
        return bool(listed) or not self._is_readable(group)

    def _is_readable(self, group: str) -> bool:
        key = comparable(group)
        if key not in self._entries:
            entries = self._session.search(group, "(objectClass=*)", _MEMBER_ATTRIBUTES, below=False)
            self._entries[key] = entries[0] if entries else None
        entry = self._entries[key]
        return entry is not None and any(entry.all(attribute) for attribute in _MEMBER_ATTRIBUTES)


def group_names(dns: Sequence[str]) -> frozenset[str]:
    """Return the groups' own names without their place in the tree."""
    return frozenset(name for name in map(leaf, dns) if name)
