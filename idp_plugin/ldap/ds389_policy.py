"""What a 389-ds password policy asks, global or local, and what it makes of one person's password now.

A local policy replaces the global one whole: what it does not say has the server's default, except that
words and further attributes to compare with are always the global ones.

Source: 389-ds-base 2.3, "Account Policy and Password Policy"; asked on a live server.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from idp_plugin.base import PasswordState
from idp_plugin.ldap.connection import Entry
from idp_plugin.ldap.names import moment
from idp_plugin.password_rule import PasswordRule, RuleName

DIALECT = "ds389"

_DEFAULTS: Mapping[str, str] = {
    "passwordCheckSyntax": "off",
    "passwordMinLength": "8",
    "passwordMinCategories": "3",
    "passwordMinTokenLength": "3",
    "passwordInHistory": "6",
    "passwordMaxFailure": "3",
    "passwordChange": "on",
    "passwordUnlock": "on",
}
_COUNTED = (
    (RuleName.LENGTH_MIN, "passwordMinLength"),
    (RuleName.CLASSES_MIN, "passwordMinCategories"),
    (RuleName.DIGITS_MIN, "passwordMinDigits"),
    (RuleName.LETTERS_MIN, "passwordMinAlphas"),
    (RuleName.UPPER_MIN, "passwordMinUppers"),
    (RuleName.LOWER_MIN, "passwordMinLowers"),
    (RuleName.SPECIALS_MIN, "passwordMinSpecials"),
    (RuleName.NON_ASCII_MIN, "passwordMin8Bit"),
    (RuleName.REPEATS_MAX, "passwordMaxRepeats"),
    (RuleName.SEQUENCE_MAX, "passwordMaxSequence"),
    (RuleName.SEQUENCE_TWICE, "passwordMaxSeqSets"),
    (RuleName.CLASS_RUN_MAX, "passwordMaxClassChars"),
)
_SWITCHED = ((RuleName.NOT_PALINDROME, "passwordPalindrome"), (RuleName.QUALITY, "passwordDictCheck"))
_INHERITED = ("passwordMinTokenLength", *(name for _, name in _COUNTED[:9]))
"""What a local policy that checks nothing takes from the global one, where the server is told to."""

POLICY_ATTRIBUTES = (
    *_DEFAULTS,
    *(name for _, name in (*_COUNTED, *_SWITCHED)),
    "passwordMustChange",
    "passwordHistory",
    "passwordLockout",
    "passwordExp",
    "passwordGraceLimit",
    "passwordMinAge",
    "passwordBadWords",
    "passwordUserAttributes",
    "nsslapd-pwpolicy-local",
    "nsslapd-pwpolicy-inherit-global",
)
COMPARED = ("uid", "cn", "sn", "givenName", "ou", "mail")
"""The attributes that a password may hold no part of, whatever the policy says."""
STATE_ATTRIBUTES = (
    "sn",
    "givenName",
    "ou",
    "nsAccountLock",
    "nsRole",
    "accountUnlockTime",
    "passwordRetryCount",
    "passwordExpirationTime",
    "passwordAllowChangeTime",
    "passwordGraceUserTime",
    "pwdUpdateTime",
    "pwdPolicySubentry",
    "modifyTimestamp",
)

SET_BY_SOMEBODY = "19700101000000Z"
"""In the place of a date of expiry: somebody else chose the password; of an unlock: never."""
_SPECIAL_TIMES = frozenset({SET_BY_SOMEBODY, "19700101000001Z"})
"""Dates of expiry that are none; the second follows the first sign-in."""


@dataclass(frozen=True, slots=True)
class Ds389Policy:
    """The policy in force for somebody; attribute names as in the server, values as it writes them."""

    values: Mapping[str, str]

    @classmethod
    def of(cls, whole: Entry, local: Entry | None) -> "Ds389Policy":
        """Read the global policy and, where there is one, the local one."""
        if local is None or not _is_on(whole.first("nsslapd-pwpolicy-local")):
            return cls({**_DEFAULTS, **_stated(whole)})
        values = {**_DEFAULTS, **_stated(local)}
        everywhere = _stated(whole)
        if not _is_on(values["passwordCheckSyntax"]) and _is_on(
            everywhere.get("nsslapd-pwpolicy-inherit-global", "")
        ):
            taken = ("passwordCheckSyntax", *_INHERITED)
            values |= {name: everywhere[name] for name in taken if name in everywhere}
        for name in ("passwordBadWords", "passwordUserAttributes"):
            values[name] = everywhere.get(name, "")
        return cls(values)

    def number(self, name: str) -> int:
        """Return a bound, 0 where there is none."""
        value = self.values.get(name, "")
        return int(value) if value.isdecimal() else 0

    def is_on(self, name: str) -> bool:
        """Tell whether something is switched on."""
        return _is_on(self.values.get(name, ""))

    @property
    def history(self) -> int:
        """How many earlier passwords are refused beside the present one; 0 where none is."""
        return max(self.number("passwordInHistory"), 1) if self.is_on("passwordHistory") else 0

    @property
    def minimum_length(self) -> int | None:
        """Characters; None where nothing is checked."""
        return self.number("passwordMinLength") if self.is_on("passwordCheckSyntax") else None

    def compared(self) -> tuple[str, ...]:
        """Return the attributes whose values a password may hold no part of."""
        return (*COMPARED, *_words(self.values.get("passwordUserAttributes", "")))

    def rules(self, names: tuple[str, ...]) -> tuple[PasswordRule, ...]:
        """Return what it asks of a new password of somebody with these names."""
        rules = [PasswordRule(RuleName.CHARACTERS, 0, DIALECT)]
        if self.is_on("passwordCheckSyntax"):
            rules += [PasswordRule(name, self.number(a), DIALECT) for name, a in _COUNTED if self.number(a)]
            rules += [
                PasswordRule(name, 0, DIALECT) for name, attribute in _SWITCHED if self.is_on(attribute)
            ]
            words = _words(self.values.get("passwordBadWords", ""))
            rules += [PasswordRule(RuleName.NOT_WORDS, 0, DIALECT, words)] if words else []
            token = self.number("passwordMinTokenLength")
            rules.append(PasswordRule(RuleName.NOT_NAME, token, DIALECT, names))
        if self.history:
            rules.append(PasswordRule(RuleName.NOT_IN_HISTORY, self.history, DIALECT))
        return tuple(rules)


def _stated(entry: Entry) -> dict[str, str]:
    return {name: entry.first(name) for name in POLICY_ATTRIBUTES if entry.all(name)}


def _is_on(value: str) -> bool:
    return value.lower() in {"on", "true", "1"}


def _words(value: str) -> tuple[str, ...]:
    return tuple(value.replace(",", " ").split())


def is_enabled(person: Entry) -> bool:
    """Tell whether no administrator has closed the account, by itself or by a role."""
    return person.first("nsAccountLock").lower() != "true"


def is_locked(person: Entry, policy: Ds389Policy, now: dt.datetime) -> bool:
    """Tell from the entry whether binds are refused because of wrong passwords."""
    if not policy.is_on("passwordLockout"):
        return False
    value = person.first("accountUnlockTime")
    if not value or _count(person, "passwordRetryCount") < policy.number("passwordMaxFailure"):
        return False
    if value == SET_BY_SOMEBODY:
        return not policy.is_on("passwordUnlock")
    until = moment(value)
    return until is None or now < until


def password_state(person: Entry, policy: Ds389Policy, now: dt.datetime) -> PasswordState:
    """Tell whether the password still opens the account."""
    value = person.first("passwordExpirationTime")
    if value == SET_BY_SOMEBODY and policy.is_on("passwordMustChange"):
        return PasswordState.MUST_CHANGE
    until = moment(value)
    if not policy.is_on("passwordExp") or value in _SPECIAL_TIMES or until is None or now < until:
        return PasswordState.USABLE
    has_grace = _count(person, "passwordGraceUserTime") < policy.number("passwordGraceLimit")
    return PasswordState.GRACE if has_grace else PasswordState.EXPIRED


def may_change_after(person: Entry, policy: Ds389Policy, now: dt.datetime) -> dt.datetime | None:
    """Return when the person may change it, None for at once."""
    after = moment(person.first("passwordAllowChangeTime"))
    is_young = policy.number("passwordMinAge") and after is not None and after > now
    return after if is_young else None


def _count(person: Entry, attribute: str) -> int:
    value = person.first(attribute)
    return int(value) if value.isdecimal() else 0
