"""The realm's password policy: one line of text, read as data.

Source: Keycloak 26.4, `org.keycloak.models.PasswordPolicy.Builder` (splits at ` and `, takes what stands
between the first bracket and the last character).
"""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from idp_plugin.keycloak.admin import KeycloakAdmin
from idp_plugin.password_rule import PasswordRule, RuleName

DIALECT = "keycloak"
KEPT_SECONDS = 60.0

_DEFAULTS: Mapping[str, int] = {
    "length": 8,
    "maxLength": 64,
    "digits": 1,
    "lowerCase": 1,
    "upperCase": 1,
    "specialChars": 1,
    "passwordHistory": 3,
    "passwordAge": 30,
    "forceExpiredPasswordChange": 365,
}
"""What holds where a policy is named without a value."""
_COUNTED: Mapping[str, RuleName] = {
    "length": RuleName.LENGTH_MIN,
    "maxLength": RuleName.LENGTH_MAX,
    "digits": RuleName.DIGITS_MIN,
    "lowerCase": RuleName.LOWER_MIN,
    "upperCase": RuleName.UPPER_MIN,
    "specialChars": RuleName.SPECIALS_MIN,
}
_NO_RULES = frozenset(
    {
        *("forceExpiredPasswordChange", "hashAlgorithm", "hashIterations", "maxAuthAge"),
        *("recoveryCodesWarningThreshold", "passwordHistory", "passwordAge"),
    }
)
"""What says nothing of a password's letters; the last two are the history's."""


@dataclass(frozen=True, slots=True)
class RealmPasswordPolicy:
    """What a realm asks of passwords."""

    parts: Mapping[str, str]
    """Values by policy, both as Keycloak writes them."""
    is_readable: bool = True
    """False where our account may not read it: then nothing is known."""

    @property
    def history(self) -> int:
        """How many passwords are remembered; 0 for none."""
        return max(self._number("passwordHistory"), 0)

    @property
    def checks_history(self) -> bool:
        """Whether an earlier password is refused, by number or by age."""
        return self.history > 0 or self._number("passwordAge") > 0

    @property
    def minimum_length(self) -> int | None:
        """In Java's characters."""
        return self._number("length") or None

    @property
    def maximum_age(self) -> dt.timedelta | None:
        """After which a password must be changed."""
        days = self._number("forceExpiredPasswordChange")
        return dt.timedelta(days=days) if days > 0 else None

    def rules(self, username: str, email: str) -> tuple[PasswordRule, ...]:
        """Return the rules for a new password of this person."""
        if not self.is_readable:
            return (PasswordRule(RuleName.QUALITY, dialect=DIALECT),)
        return tuple(dict.fromkeys(self._rules(username, email)))

    def _rules(self, username: str, email: str) -> Iterator[PasswordRule]:
        for name in self.parts:
            match name:
                case _ if name in _COUNTED:
                    yield PasswordRule(_COUNTED[name], self._number(name), DIALECT)
                case "notUsername":
                    yield PasswordRule(RuleName.NOT_SAME_NAME, dialect=DIALECT, words=(username,))
                case "notEmail" if email:
                    yield PasswordRule(RuleName.NOT_SAME_NAME, dialect=DIALECT, words=(email,))
                case "notContainsUsername":
                    yield PasswordRule(RuleName.NOT_NAME, dialect=DIALECT, words=(username,))
                case _ if name not in _NO_RULES and name != "notEmail":
                    # A pattern, a list of words, or a provider of the operator's own.
                    yield PasswordRule(RuleName.QUALITY, dialect=DIALECT)
        if self.checks_history:
            yield PasswordRule(RuleName.NOT_IN_HISTORY, self.history, DIALECT)

    def _number(self, name: str) -> int:
        if name not in self.parts:
            return 0
        try:
            return int(self.parts[name])
        except ValueError:
            return _DEFAULTS[name]


def parse(text: str) -> RealmPasswordPolicy:
    """Read the realm's `passwordPolicy`; empty for none."""
    parts: dict[str, str] = {}
    for piece in filter(None, (piece.strip() for piece in text.split(" and "))):
        name, bracket, rest = piece.partition("(")
        parts[name.strip()] = rest[:-1].strip() if bracket else ""
    return RealmPasswordPolicy(parts)


class RealmPolicyReader:
    """Thread-safe; a change in the realm is seen after `KEPT_SECONDS`."""

    def __init__(self, admin: KeycloakAdmin, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        Args:
            admin: Its account needs `view-realm`; without, the policy is not readable.
            clock: Monotonic seconds.
        """
        self._admin = admin
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[float, RealmPasswordPolicy] | None = None

    def read(self) -> RealmPasswordPolicy:
        """Return the policy; raises as `KeycloakAdmin`."""
        with self._lock:
            kept = self._kept
        if kept and kept[0] > self._clock():
            return kept[1]
        policy = self._ask()
        with self._lock:
            self._kept = (self._clock() + KEPT_SECONDS, policy)
        return policy

    def _ask(self) -> RealmPasswordPolicy:
        realm = self._admin.get("") or {}
        # Without `view-realm` Keycloak answers all the same, with a handful of fields; the id is not one.
        if "id" not in realm:
            return RealmPasswordPolicy({}, is_readable=False)
        return parse(str(realm.get("passwordPolicy") or ""))
