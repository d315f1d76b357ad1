"""What an OpenLDAP password policy entry asks, and what it makes of one person's password now.

Source: draft-behera-ldap-password-policy-10; slapo-ppolicy(5).
"""

import datetime as dt
from dataclasses import dataclass

from idp_plugin.base import PasswordState
from idp_plugin.ldap.connection import Entry
from idp_plugin.ldap.names import moment
from idp_plugin.password_rule import PasswordRule, RuleName

PERMANENTLY = "000001010000Z"
"""The lock time that only an administrator may end."""

POLICY_ATTRIBUTES = (
    "pwdMinLength",
    "pwdMaxLength",
    "pwdInHistory",
    "pwdMaxAge",
    "pwdMinAge",
    "pwdLockoutDuration",
    "pwdCheckQuality",
    "pwdCheckModule",
    "pwdUseCheckModule",
    "pwdGraceAuthNLimit",
    "pwdAllowUserChange",
)
STATE_ATTRIBUTES = (
    "pwdAccountLockedTime",
    "pwdChangedTime",
    "pwdReset",
    "pwdGraceUseTime",
    "pwdPolicySubentry",
    "pwdStartTime",
    "pwdEndTime",
)


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """The part of a policy that this package reads; zero means not limited, as in the directory."""

    minimum_length: int = 0
    history: int = 0
    maximum_age: dt.timedelta = dt.timedelta(0)
    minimum_age: dt.timedelta = dt.timedelta(0)
    lockout: dt.timedelta = dt.timedelta(0)
    """Zero: a lock stays until somebody ends it."""
    checks_quality: bool = False
    refuses_unreadable: bool = False
    """Whether what is hashed already, and so cannot be judged, is refused."""
    asks_module: bool = False
    """Whether a module of the server may judge, too."""
    maximum_length: int = 0
    grace: int = 0
    """How many times an expired password still signs in."""
    people_may_change: bool = True

    @classmethod
    def of(cls, entry: Entry) -> "PasswordPolicy":
        """Read a policy entry."""
        return cls(
            minimum_length=_whole_number(entry, "pwdMinLength"),
            history=_whole_number(entry, "pwdInHistory"),
            maximum_age=_seconds(entry, "pwdMaxAge"),
            minimum_age=_seconds(entry, "pwdMinAge"),
            lockout=_seconds(entry, "pwdLockoutDuration"),
            checks_quality=_whole_number(entry, "pwdCheckQuality") > 0,
            refuses_unreadable=_whole_number(entry, "pwdCheckQuality") > 1,
            asks_module=bool(entry.first("pwdCheckModule")) or entry.first("pwdUseCheckModule") == "TRUE",
            maximum_length=_whole_number(entry, "pwdMaxLength"),
            grace=_whole_number(entry, "pwdGraceAuthNLimit"),
            people_may_change=entry.first("pwdAllowUserChange") != "FALSE",
        )

    def rules(self) -> tuple[PasswordRule, ...]:
        """Return what it asks of a new password, in the order in which the server asks."""
        asked = (
            (RuleName.LENGTH_MIN, self.minimum_length if self.checks_quality else 0),
            (RuleName.LENGTH_MAX, self.maximum_length if self.checks_quality else 0),
            (RuleName.CHARACTERS, self.refuses_unreadable),
            (RuleName.QUALITY, self.checks_quality and self.asks_module),
            (RuleName.NOT_IN_HISTORY, self.history),
        )
        return tuple(
            PasswordRule(name, 0 if isinstance(count, bool) else count, "openldap")
            for name, count in asked
            if count
        )


def is_enabled(person: Entry, now: dt.datetime) -> bool:
    """Tell whether no administrator has closed the account, for good or outside its dates."""
    if person.first("pwdAccountLockedTime") == PERMANENTLY:
        return False
    start, end = moment(person.first("pwdStartTime")), moment(person.first("pwdEndTime"))
    return (start is None or start <= now) and (end is None or now < end)


def is_locked(person: Entry, policy: PasswordPolicy | None, now: dt.datetime) -> bool:
    """Tell whether binds are refused now; without a readable policy every lock counts."""
    value = person.first("pwdAccountLockedTime")
    since = moment(value)
    if not value or since is None or policy is None or not policy.lockout:
        return bool(value)
    return now < since + policy.lockout


def password_state(person: Entry, policy: PasswordPolicy | None, now: dt.datetime) -> PasswordState:
    """Tell whether the password still opens the account."""
    if person.first("pwdReset") == "TRUE":
        return PasswordState.MUST_CHANGE
    if policy is None:
        return PasswordState.UNKNOWN
    changed = moment(person.first("pwdChangedTime"))
    if changed is None or not policy.maximum_age or now <= changed + policy.maximum_age:
        return PasswordState.USABLE
    return PasswordState.GRACE if len(person.all("pwdGraceUseTime")) < policy.grace else PasswordState.EXPIRED


def may_change_after(person: Entry, policy: PasswordPolicy | None, now: dt.datetime) -> dt.datetime | None:
    """Return when the person may change it, None for at once."""
    changed = moment(person.first("pwdChangedTime"))
    if policy is None or changed is None or person.first("pwdReset") == "TRUE":
        return None
    after = changed + policy.minimum_age
    return after if after > now else None


def _whole_number(entry: Entry, attribute: str) -> int:
    value = entry.first(attribute)
    return int(value) if value.isdecimal() else 0


def _seconds(entry: Entry, attribute: str) -> dt.timedelta:
    # A policy may say any number; beyond a century it is as good as none.
    return dt.timedelta(seconds=min(_whole_number(entry, attribute), 100 * 366 * 86_400))
