"""Whose member somebody is, groups within groups included, and whether that gives power (S18).

Memberships are followed both ways: what an entry says of itself (`memberOf`), and which groups name it.
Not every server keeps `memberOf`, and some keep it for a part of the groups only.
"""

from collections.abc import Sequence
from typing import NamedTuple

from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.names import comparable, equals, leaf

MOST_GROUPS = 1000
"""Beyond this many the answer is given up, and counts as privileged."""

_MEMBERS = ("member", "uniqueMember")
_NAMES = "memberUid"


class Power(NamedTuple):
    """What somebody's memberships mean, as an `Identity` states it."""

    privileged: bool
    opened: bool


class TooManyGroups(Exception):
    """Following memberships did not end within `MOST_GROUPS`."""


class GroupReader:
    """Reads memberships over one open connection, each group once. Lives for one operation."""

    def __init__(self, session: Session, context: str) -> None:
        """Remember where to look.

        Args:
            session: Bound as somebody who may read groups.
            context: DN below which all groups live.
        """
        self._session = session
        self._context = context
        self._parents: dict[str, tuple[str, ...]] = {}
        self._stated: dict[str, tuple[str, ...]] = {}
        self._members_of: dict[str, frozenset[str]] = {}
        self._of: dict[tuple[str, str], tuple[str, ...]] = {}

    def of(self, person: Entry, username: str) -> tuple[str, ...]:
        """Return the DNs of all groups, nested ones included, in no particular order.

        Raises:
            TooManyGroups: See above.
        """
        who = (person.dn, username)
        if who not in self._of:
            self._of[who] = self._followed(person, username)
        return self._of[who]

    def _followed(self, person: Entry, username: str) -> tuple[str, ...]:
        found: dict[str, str] = {}
        ahead = [*person.all("memberOf"), *self._naming(person.dn, username)]
        while ahead:
            group = ahead.pop()
            if comparable(group) in found:
                continue
            if len(found) >= MOST_GROUPS:
                raise TooManyGroups
            found[comparable(group)] = group
            ahead.extend(self._parents_of(group))
        return tuple(found.values())

    def names(self, person: Entry, username: str) -> frozenset[str]:
        """Return the names of all groups; without the nested ones where there are too many."""
        try:
            return group_names(self.of(person, username))
        except TooManyGroups:
            return group_names(person.all("memberOf"))

    @property
    def context(self) -> str:
        """DN below which all groups live."""
        return self._context

    def _parents_of(self, group: str) -> tuple[str, ...]:
        key = comparable(group)
        if key not in self._parents:
            self._parents[key] = (*self._stated_by(group), *self._naming(group))
        return self._parents[key]

    def _stated_by(self, group: str) -> tuple[str, ...]:
        """Return the groups that a group says it is in."""
        key = comparable(group)
        if key not in self._stated:
            entries = self._session.search(group, "(objectClass=*)", ["memberOf"], below=False)
            self._stated[key] = entries[0].all("memberOf") if entries else ()
        return self._stated[key]

    def _naming(self, dn: str, username: str = "") -> tuple[str, ...]:
        """Return the groups that have this entry among their members."""
        tests = [equals(attribute, dn) for attribute in _MEMBERS]
        if username:
            tests.append(equals(_NAMES, username))
        # Security: a context that is hidden from us is the operator's mistake, not "in no group" (S18).
        found = self._session.search(
            self._context, f"(|{''.join(tests)})", ["memberOf"], limit=MOST_GROUPS + 1, must_exist=True
        )
        self._stated |= {comparable(entry.dn): entry.all("memberOf") for entry in found}
        if len(found) > MOST_GROUPS:
            raise TooManyGroups
        return tuple(entry.dn for entry in found)

    def is_protected(self, person: Entry, username: str, protected: Sequence[str]) -> bool:
        """Tell whether somebody belongs to a protected group; what cannot be read counts as yes."""
        try:
            names = {comparable(dn) for dn in (person.dn, *self.of(person, username))}
        except TooManyGroups:
            return True
        # The groups are asked themselves, too: one that cannot be read protects everybody.
        return any(
            comparable(group) in names
            or not self._members(group)
            or self._members(group) & {*names, username.lower()}
            for group in protected
        )

    def is_readable(self, group: str) -> bool:
        """Tell whether a group's members can be read; one without any counts as hidden."""
        return bool(self._members(group))

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
