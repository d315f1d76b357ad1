"""Whose member somebody is in Active Directory, and whether that gives power (S18).

The directory computes the membership itself: nested groups, the primary group, and those of earlier
domains are all in `tokenGroups`.

Source: [MS-ADTS] sections 3.1.1.4.5.19 (tokenGroups) and 3.1.1.6.1 (protected objects); [MS-DTYP] 2.4.2.4.
"""

from collections.abc import Iterator, Sequence

from idp_plugin.ldap.active_directory_account import DELEGATES, SECURITY_ID, number
from idp_plugin.ldap.active_directory_root import RootEntry, readable_ids
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.groups import GroupReader
from idp_plugin.ldap.names import comparable
from idp_plugin.ldap.ranged_values import TooManyValues, all_values
from idp_plugin.ldap.security_descriptor import relative_id

POWERFUL_BUILTIN = frozenset({544, 548, 549, 550, 551, 552, 556, 557, 569, 578})
"""Of `S-1-5-32`: administrators, account, server, print and backup operators, replicators, network
configuration, trust builders, cryptography, Hyper-V."""
POWERFUL_IN_DOMAIN = frozenset({498, 500, 502, 512, 516, 517, 518, 519, 520, 521, 526, 527})
"""Administrator and krbtgt; domain, schema, enterprise and key administrators; domain controllers,
certificate publishers, owners of group policies."""

_AT_A_TIME = 50


class TokenReader(GroupReader):
    """Reads memberships over one open connection, each group once. Lives for one operation."""

    def __init__(self, session: Session, root: RootEntry, service: str) -> None:
        """Remember what counts.

        Args:
            session: Bound.
            root: Of this very session.
            service: Name that our account binds with.
        """
        super().__init__(session, root.domain)
        self._root = root
        self._service = service.lower()
        self._found: dict[str, Entry | None] = {}
        self._protected_ids: dict[str, frozenset[str]] = {}
        self._tokens: dict[str, frozenset[str]] = {}

    def of(self, person: Entry, username: str) -> tuple[str, ...]:
        """Return the DNs of all groups of this domain, nested and primary ones included."""
        del username
        return tuple(group.dn for group in self._groups(person))

    def names(self, person: Entry, username: str) -> frozenset[str]:
        """Return the groups' account names, which nobody can use twice in a domain."""
        del username
        return frozenset(group.first("sAMAccountName") for group in self._groups(person)) - {""}

    def _groups(self, person: Entry) -> Iterator[Entry]:
        tokens = self.tokens(person)
        unknown = [token for token in tokens if token not in self._found]
        for start in range(0, len(unknown), _AT_A_TIME):
            self._look_up(unknown[start : start + _AT_A_TIME])
        return (group for group in map(self._found.get, tokens) if group)

    def tokens(self, person: Entry) -> frozenset[str]:
        """Return the identifiers of all groups; empty where they cannot be read."""
        if person.dn not in self._tokens:
            try:
                values = all_values(self._session, person.dn, "tokenGroups")
            except TooManyValues:
                values = ()
            self._tokens[person.dn] = readable_ids(values)
        return self._tokens[person.dn]

    def _look_up(self, groups: Sequence[str]) -> None:
        tests = "".join(f"({SECURITY_ID}={group})" for group in groups)
        found = self._session.search(self.context, f"(|{tests})", ["sAMAccountName", SECURITY_ID])
        self._found.update(dict.fromkeys(groups))
        self._found.update({identifier: group for group in found for identifier in own_id(group)})

    def is_protected(self, person: Entry, username: str, protected: Sequence[str]) -> bool:
        """Tell whether the password opens power; what cannot be read counts as yes.

        Args:
            person: With its identifier, flags and `adminCount`.
            username: Not needed here.
            protected: DNs of groups that count beside those that come powerful with Windows.
        """
        del username
        own, tokens = own_id(person), self.tokens(person)
        flags = number(person, "userAccountControl")
        # Security: everybody is in a group at least, the primary one; none at all means "not readable".
        if not own or not tokens or flags is None or flags & DELEGATES:
            return True
        return (
            bool(number(person, "adminCount"))
            or any(map(_is_powerful, own | tokens))
            or self._is_ours(person, own)
            or any(self._is_member(group, own | tokens) for group in protected)
        )

    def _is_ours(self, person: Entry, own: frozenset[str]) -> bool:
        """Tell whether it is the account that we bind with, by whichever of its names."""
        account = person.first("sAMAccountName").lower()
        names = {comparable(person.dn), person.first("userPrincipalName").lower()} - {""}
        return (
            bool(own & self._root.own_ids)
            or comparable(self._service) in names
            or (bool(account) and self._service.rpartition("\\")[2] == account)
        )

    def is_readable(self, group: str) -> bool:
        """Tell whether a group's identifier can be read."""
        return bool(self._ids_of(group))

    def _is_member(self, group: str, identifiers: frozenset[str]) -> bool:
        protected = self._ids_of(group)
        # Security: a protected group that is missing or hidden from us protects everybody.
        return not protected or bool(protected & identifiers)

    def _ids_of(self, group: str) -> frozenset[str]:
        if group not in self._protected_ids:
            found = self._session.search(group, "(objectClass=*)", [SECURITY_ID], below=False)
            self._protected_ids[group] = own_id(found[0]) if found else frozenset()
        return self._protected_ids[group]


def own_id(entry: Entry) -> frozenset[str]:
    """Return an entry's own identifier, nothing where it cannot be read."""
    return readable_ids(entry.attributes.get(SECURITY_ID.lower(), ()))


def _is_powerful(identifier: str) -> bool:
    if identifier.startswith("S-1-5-32-"):
        return relative_id(identifier) in POWERFUL_BUILTIN
    return identifier.startswith("S-1-5-21-") and relative_id(identifier) in POWERFUL_IN_DOMAIN
