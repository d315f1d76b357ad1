"""Roles of 389-ds beside groups: `protected_groups` may name either."""

from collections.abc import Sequence

from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.groups import GroupReader
from idp_plugin.ldap.names import comparable, equals

_IS_ROLE = "(&(objectClass=ldapsubentry)(objectClass=nsRoleDefinition))"


class RoleReader(GroupReader):
    """Reads memberships and roles over one open connection. Lives for one operation."""

    def __init__(self, session: Session, context: str) -> None:
        """Remember where to look; see `GroupReader`."""
        super().__init__(session, context)
        self._session_of_roles = session
        self._are_roles: dict[str, bool] = {}

    def is_protected(self, person: Entry, username: str, protected: Sequence[str]) -> bool:
        """Tell whether somebody has a protected role or is in a protected group; see `GroupReader`."""
        # The server works out filtered and nested roles itself.
        has = {comparable(role) for role in person.all("nsRole")}
        if any(comparable(each) in has for each in protected):
            return True
        if not all(self._is_without(person, each) for each in protected if self._is_role(each)):
            return True
        groups = [each for each in protected if not self._is_role(each)]
        return super().is_protected(person, username, groups)

    def is_readable(self, group: str) -> bool:
        """Tell whether a role, or a group's members, can be read; see `GroupReader`."""
        return self._is_role(group) or super().is_readable(group)

    def _is_without(self, person: Entry, role: str) -> bool:
        # Security: no roles and roles that are hidden from us look alike when read. A negation does not:
        # of what we may not search the server says neither yes nor no (RFC 4511 section 4.5.1.7).
        test = f"(!{equals('nsRole', role)})"
        return bool(self._session_of_roles.search(person.dn, test, ["1.1"], below=False))

    def _is_role(self, dn: str) -> bool:
        key = comparable(dn)
        if key not in self._are_roles:
            found = self._session_of_roles.search(dn, _IS_ROLE, ["1.1"], below=False)
            self._are_roles[key] = bool(found)
        return self._are_roles[key]
