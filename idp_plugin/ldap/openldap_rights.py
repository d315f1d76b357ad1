"""Which rights our account has over one person in OpenLDAP, found out without changing anything.

The server checks the right before it looks for the value: asked to remove a value that is not there, it
answers noSuchAttribute to who may, and insufficientAccessRights to who may not.

Source: OpenLDAP 2.5 slapd.access(5); observed on a live server.
"""

import enum
import secrets
from dataclasses import dataclass

from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.connection import Entry, Session

_NEVER = "19990101000000Z"
_BEYOND = "mail"


class OpenLdapRight(enum.StrEnum):
    """What `deploy/openldap.md` has an administrator grant."""

    RESET_PASSWORD = "reset_password"  # noqa: S105 - a name
    """`=w` on `userPassword`."""
    END_LOCK = "end_lock"
    """`write` on `pwdAccountLockedTime`."""
    READ_STATE = "read_state"
    """`pwdChangedTime`: whether a password is expired, or was written."""
    NOTHING_ELSE = "nothing_else"
    """Attributes of the person, such as the address, cannot be written."""


@dataclass(frozen=True, slots=True)
class OpenLdapRightCheck:
    """One right over one person."""

    right: OpenLdapRight
    is_held: bool | None
    """None where that cannot be found out."""


def check_rights(session: Session, person: Entry) -> tuple[OpenLdapRightCheck, ...]:
    """Return every right, in the order of `OpenLdapRight`."""
    # Security: random, so that no value is ever removed.
    nobodys = secrets.token_urlsafe(32)
    beyond = _may_remove(session, person, _BEYOND, nobodys)
    held: dict[OpenLdapRight, bool | None] = {
        OpenLdapRight.RESET_PASSWORD: _may_remove(session, person, "userPassword", nobodys),
        OpenLdapRight.END_LOCK: _may_remove(session, person, "pwdAccountLockedTime", _NEVER),
        OpenLdapRight.READ_STATE: bool(person.first("pwdChangedTime")) or None,
        OpenLdapRight.NOTHING_ELSE: None if beyond is None else not beyond,
    }
    return tuple(OpenLdapRightCheck(right, held[right]) for right in OpenLdapRight)


def _may_remove(session: Session, person: Entry, attribute: str, value: str) -> bool | None:
    match session.remove(person.dn, attribute, value).code:
        case ldap.SUCCESS | ldap.NO_SUCH_ATTRIBUTE:
            return True
        case ldap.INSUFFICIENT_ACCESS:
            return False
        case _:
            return None
