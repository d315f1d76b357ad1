"""Which of the rights that it needs our account has over one person, asked without writing anything.

Source: [MS-ADTS] sections 3.1.1.4.5.22 (allowedAttributesEffective) and 5.1.3.2.1 (control access rights);
[MS-SAMR] section 3.1.1.8.7 (what a reset needs).
"""

import enum
import uuid
from dataclasses import dataclass

from idp_plugin.ldap.active_directory_account import COMPUTED_FLAGS, DESCRIPTOR, access_entries, number
from idp_plugin.ldap.active_directory_groups import TokenReader
from idp_plugin.ldap.active_directory_policy import AccountPolicy
from idp_plugin.ldap.active_directory_root import ACCESS_LIST, RootEntry
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.ranged_values import all_values
from idp_plugin.ldap.security_descriptor import CONTROL_ACCESS, first_word

RESET_PASSWORD = uuid.UUID("00299570-246d-11d0-a768-00aa006e0529")
UNEXPIRE_PASSWORD = uuid.UUID("ccc2dc7d-a6ad-4a7a-8846-c04e3cc53501")
_WRITTEN = frozenset({"lockouttime", "pwdlastset"})


class Right(enum.StrEnum):
    """What `deploy/active-directory.md` has an administrator delegate."""

    RESET_PASSWORD = "reset_password"  # noqa: S105 - a name
    """The extended right "Reset Password"."""
    WRITE_LOCKOUT_TIME = "write_lockout_time"
    """Without it no lock is ended, and no reset written: both are one operation."""
    WRITE_PASSWORD_LAST_SET = "write_password_last_set"  # noqa: S105 - a name
    """Without it no reset is written."""
    UNEXPIRE_PASSWORD = "unexpire_password"  # noqa: S105 - a name
    """The extended right "Unexpire Password" on the domain; everybody's unless it was taken away. Without it
    Windows makes people change the new password at once."""
    READ_STATE = "read_state"
    """Whether somebody is locked, closed, expired."""
    READ_GROUPS = "read_groups"
    """`tokenGroups`; without it everybody counts as privileged."""
    READ_ACCESS_LIST = "read_access_list"
    """Without it "cannot change the password" is not seen before the directory refuses."""
    READ_POLICY = "read_policy"
    """The policy that holds for this person, fine-grained ones included."""
    NOTHING_ELSE = "nothing_else"
    """No other attribute can be written: the account is no stronger than it has to be."""


@dataclass(frozen=True, slots=True)
class RightCheck:
    """One right over one person."""

    right: Right
    is_held: bool | None
    """None where that cannot be found out."""


def check_rights(
    session: Session, root: RootEntry, person: Entry, reader: TokenReader, policy: AccountPolicy | None
) -> tuple[RightCheck, ...]:
    """Return every right, in the order of `Right`."""
    allowed = all_values(session, person.dn, "allowedAttributesEffective")
    writable = {name.decode("utf-8", "replace").lower() for name in allowed}
    held: dict[Right, bool | None] = {
        Right.RESET_PASSWORD: _has(root, person, RESET_PASSWORD),
        Right.WRITE_LOCKOUT_TIME: "lockouttime" in writable,
        Right.WRITE_PASSWORD_LAST_SET: "pwdlastset" in writable,
        Right.UNEXPIRE_PASSWORD: may_unexpire(session, root),
        Right.READ_STATE: None not in {number(person, "userAccountControl"), number(person, COMPUTED_FLAGS)},
        Right.READ_GROUPS: bool(reader.tokens(person)),
        Right.READ_ACCESS_LIST: access_entries(person) is not None,
        Right.READ_POLICY: policy is not None,
        Right.NOTHING_ELSE: not writable - _WRITTEN,
    }
    return tuple(RightCheck(right, held[right]) for right in Right)


def may_unexpire(session: Session, root: RootEntry) -> bool | None:
    """Tell whether passwords that our account sets are good at once; None where that cannot be read."""
    found = session.search(root.domain, "(objectClass=*)", [DESCRIPTOR], below=False, controls=[ACCESS_LIST])
    return _has(root, found[0], UNEXPIRE_PASSWORD) if found else None


def _has(root: RootEntry, entry: Entry, right: uuid.UUID) -> bool | None:
    """Read an access list with our own groups in hand, as the server would."""
    entries = access_entries(entry)
    if entries is None or not root.own_ids:
        return None
    return first_word(entries, CONTROL_ACCESS, right, root.own_ids) is True
