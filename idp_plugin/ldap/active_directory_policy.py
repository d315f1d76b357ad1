"""Which password policy holds for somebody in Active Directory: a fine-grained one, else the domain's.

Source: [MS-ADTS] sections 3.1.1.4.5.36 (msDS-ResultantPSO) and 3.1.1.5.2; [MS-SAMR] section 3.1.1.7.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from idp_plugin.errors import RefusalReason
from idp_plugin.ldap.active_directory_account import RESULTANT_POLICY, duration, number
from idp_plugin.ldap.active_directory_rules import CLASSES, holds
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.names import comparable
from idp_plugin.password_rule import AccountNames, PasswordRule, RuleName

log = structlog.get_logger(__name__)

KEPT_SECONDS = 60.0
DIALECT = "active_directory"

_COMPLEX = 0x1
_OF_THE_DOMAIN = ("minPwdLength", "pwdHistoryLength", "pwdProperties", "minPwdAge")
_FINE_GRAINED = (
    "msDS-MinimumPasswordLength",
    "msDS-PasswordHistoryLength",
    "msDS-PasswordComplexityEnabled",
    "msDS-MinimumPasswordAge",
)


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """What holds for an account; zero means not limited."""

    minimum_length: int = 0
    history: int = 0
    is_complex: bool = False
    minimum_age: dt.timedelta = dt.timedelta(0)

    @classmethod
    def of_domain(cls, head: Entry) -> "AccountPolicy":
        """Read the entry at the top of the domain."""
        length, history, properties, age = _OF_THE_DOMAIN
        return cls(
            number(head, length) or 0,
            number(head, history) or 0,
            bool((number(head, properties) or 0) & _COMPLEX),
            duration(head, age),
        )

    @classmethod
    def fine_grained(cls, entry: Entry) -> "AccountPolicy":
        """Read a password settings object."""
        length, history, complexity, age = _FINE_GRAINED
        return cls(
            number(entry, length) or 0,
            number(entry, history) or 0,
            entry.first(complexity) == "TRUE",
            duration(entry, age),
        )

    def rules(self, names: tuple[str, ...]) -> tuple[PasswordRule, ...]:
        """Return the rules in the order in which people should read them.

        Args:
            names: What a complex password may not contain; empty where the server does not look for it.
        """
        named = (
            (self.minimum_length > 0, RuleName.LENGTH_MIN, self.minimum_length, ()),
            (self.is_complex, RuleName.CLASSES_MIN, CLASSES, ()),
            (self.is_complex and bool(names), RuleName.NOT_NAME, 0, names),
            (self.history > 0, RuleName.NOT_IN_HISTORY, self.history, ()),
        )
        return tuple(
            PasswordRule(name, count, DIALECT, words) for holds, name, count, words in named if holds
        )


class AccountPolicyReader:
    """Finds policies and remembers each for `KEPT_SECONDS`. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, tuple[float, AccountPolicy | None]] = {}
        self._lock = threading.Lock()

    def of(self, session: Session, person: Entry, domain: str) -> AccountPolicy | None:
        """Return the policy in force; None where our account may not read it: then nothing is promised.

        Args:
            session: Bound.
            person: With `msDS-ResultantPSO`.
            domain: DN of the domain's head.
        """
        dn = person.first(RESULTANT_POLICY) or domain
        key = comparable(dn)
        with self._lock:
            until, policy = self._kept.get(key, (0.0, None))
        if until > self._clock():
            return policy
        policy = _read(session, dn, fine_grained=dn != domain)
        with self._lock:
            self._kept[key] = (self._clock() + KEPT_SECONDS, policy)
        return policy


_BROKEN = {
    RuleName.LENGTH_MIN: RefusalReason.TOO_SHORT,
    RuleName.CLASSES_MIN: RefusalReason.TOO_SIMPLE,
    RuleName.NOT_NAME: RefusalReason.TOO_SIMPLE,
}


def reasons(
    rules: tuple[PasswordRule, ...], refused: str, *, checks_history: bool
) -> tuple[RefusalReason, ...]:
    """Return why the directory refused a password: it says "policy" and no more, so we read its rules.

    Where it breaks none of those that can be told, the history is what is left, if it was asked at all.
    """
    told = {rule.name: holds(rule, refused, AccountNames()) for rule in rules}
    broken = [_BROKEN[name] for name in _BROKEN if told.get(name) is False]
    broken = broken or [_BROKEN[name] for name in _BROKEN if name in told and told[name] is None]
    if broken:
        return tuple(dict.fromkeys(broken))
    is_used = checks_history and RuleName.NOT_IN_HISTORY in told
    return (RefusalReason.IN_HISTORY if is_used else RefusalReason.OTHER,)


def _read(session: Session, dn: str, *, fine_grained: bool) -> AccountPolicy | None:
    attributes = _FINE_GRAINED if fine_grained else _OF_THE_DOMAIN
    found = session.search(dn, "(objectClass=*)", attributes, below=False)
    if not found or number(found[0], attributes[0]) is None:
        log.warning("directory_policy_unreadable", policy=dn)
        return None
    return AccountPolicy.fine_grained(found[0]) if fine_grained else AccountPolicy.of_domain(found[0])
