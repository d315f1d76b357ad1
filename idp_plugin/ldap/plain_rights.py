"""Which rights our account has over one person in OpenLDAP and 389-ds, found out without changing anything.

The server checks the right before it looks for the value: asked to remove a value that is not there, it
answers noSuchAttribute to who may, and insufficientAccessRights to who may not.

Source: OpenLDAP 2.5 slapd.access(5); 389-ds-base 2.3; observed on live servers.
"""

import enum
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from idp_plugin.ldap import connection as ldap
from idp_plugin.ldap.connection import Entry, Session

NOBODYS_PASSWORD = ""
"""Stands for a fresh value that is nobody's password."""
_BEYOND = "mail"


class PlainRight(enum.StrEnum):
    """What `deploy/openldap.md` and `deploy/389-directory-server.md` have an administrator grant."""

    RESET_PASSWORD = "reset_password"  # noqa: S105 - a name
    END_LOCK = "end_lock"
    ORDER_CHANGE = "order_change"
    """For temporary passwords alone."""
    READ_STATE = "read_state"
    """Whether a password is expired, or was written."""
    NOTHING_ELSE = "nothing_else"
    """Attributes of the person, such as the address, cannot be written."""


@dataclass(frozen=True, slots=True)
class PlainRightCheck:
    """One right over one person."""

    right: PlainRight
    is_held: bool | None
    """None where that cannot be found out."""


def check_rights(
    session: Session, person: Entry, trials: Mapping[PlainRight, tuple[str, str]], state: str
) -> tuple[PlainRightCheck, ...]:
    """Return every right, in the order of `PlainRight`.

    Args:
        session: Bound as our account.
        person: As our account sees it.
        trials: Attribute and value to be removed, which nobody has, by right.
        state: An attribute that everybody has who has a password, and that our account has to read.
    """
    # Security: random, so that no value is ever removed.
    nobodys = secrets.token_urlsafe(32)
    held: dict[PlainRight, bool | None] = {
        right: _may_remove(session, person, attribute, value or nobodys)
        for right, (attribute, value) in trials.items()
    }
    beyond = _may_remove(session, person, _BEYOND, nobodys)
    held[PlainRight.READ_STATE] = bool(person.first(state)) or None
    held[PlainRight.NOTHING_ELSE] = None if beyond is None else not beyond
    return tuple(PlainRightCheck(right, held[right]) for right in PlainRight)


def _may_remove(session: Session, person: Entry, attribute: str, value: str) -> bool | None:
    match session.remove(person.dn, attribute, value).code:
        case ldap.SUCCESS | ldap.NO_SUCH_ATTRIBUTE:
            return True
        case ldap.INSUFFICIENT_ACCESS:
            return False
        case _:
            return None
