"""Who helps people, and who is told when something grave happens: addresses from settings, or by role."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from flows.authenticators import email_address
from flows.errors import UnusableAddress
from idp_plugin.base import Directory, Identity, Subject

MOST = 100
"""How many people one message goes to at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleGroups:
    """The directory's groups that give each role here."""

    helpdesk: tuple[str, ...] = ()
    user_administrator: tuple[str, ...] = ()
    administrator: tuple[str, ...] = ()


class Administrators:
    """Finds their addresses when a message is about to leave; nothing is kept."""

    def __init__(
        self, *, directory: Directory, groups: RoleGroups, helpdesk: Sequence[str], alarms: Sequence[str]
    ) -> None:
        """Take the parts.

        Args:
            helpdesk: Addresses that get requests for help instead of the people who have the role.
            alarms: Addresses that get alarms instead of the administrators.
        """
        self._directory = directory
        self._groups = groups
        self._helpdesk = tuple(helpdesk)
        self._alarms = tuple(alarms)

    def for_help(self) -> tuple[str, ...]:
        """Return who is asked for help: the first of helpdesk, user administrators and administrators.

        Raises:
            IdpError: The directory did not answer.
        """
        if self._helpdesk:
            return self._helpdesk[:MOST]
        for groups in (self._groups.helpdesk, self._groups.user_administrator, self._groups.administrator):
            if found := self._members(groups):
                return found
        return ()

    def for_alarms(self, *, but: Subject | None = None) -> tuple[str, ...]:
        """Return who is told of grave events: all administrators, without the one whom it is about.

        Raises:
            IdpError: The directory did not answer.
        """
        return self._alarms[:MOST] or self._members(self._groups.administrator, but=but)

    def is_one(self, identity: Identity) -> bool:
        """Tell whether somebody has power here."""
        groups = (*self._groups.helpdesk, *self._groups.user_administrator, *self._groups.administrator)
        return not frozenset(groups).isdisjoint(identity.groups | identity.roles)

    def _members(self, groups: Sequence[str], *, but: Subject | None = None) -> tuple[str, ...]:
        if not groups:
            return ()
        members = islice((each for each in self._directory.everyone(groups) if each.enabled), MOST + 1)
        return tuple(dict.fromkeys(_addresses(each for each in members if each.subject != but)))[:MOST]


def _addresses(members: Iterable[Identity]) -> Iterable[str]:
    """Yield one address for each person: the directory's first."""
    for member in members:
        try:
            yield email_address.parse(next(iter(member.emails), ""))
        except UnusableAddress:
            # A directory may hold anything; what is no address cannot be told.
            continue
