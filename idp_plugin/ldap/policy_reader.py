"""Finds the password policy that holds for a person, and remembers it for a minute."""

import threading
import time
from collections.abc import Callable

from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.names import comparable
from idp_plugin.ldap.password_policy import POLICY_ATTRIBUTES, PasswordPolicy
from idp_plugin.ldap.server_facts import FactsReader

KEPT_SECONDS = 60.0

_IS_POLICY = "(objectClass=pwdPolicy)"


class PolicyReader:
    """Thread-safe; a policy that was just changed is seen after `KEPT_SECONDS`."""

    def __init__(
        self, default: str, base: str, facts: FactsReader, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember where to look.

        Args:
            default: DN of the server's `ppolicy_default`; when empty, the one policy entry in the naming
                context of `base`, if there is exactly one.
            base: DN below which people live.
            facts: Knows the naming contexts.
            clock: Monotonic seconds.
        """
        self._default = default
        self._base = base
        self._facts = facts
        self._clock = clock
        self._kept: dict[str, tuple[float, PasswordPolicy | None]] = {}
        self._lock = threading.Lock()

    def of(self, session: Session, person: Entry) -> PasswordPolicy | None:
        """Return the policy in force, None where there is none to read."""
        dn = person.first("pwdPolicySubentry") or self._default
        key = comparable(dn)
        with self._lock:
            until, policy = self._kept.get(key, (0.0, None))
        if until > self._clock():
            return policy
        entry = self._entry(session, dn) if dn else self._only_one(session)
        policy = PasswordPolicy.of(entry) if entry else None
        with self._lock:
            self._kept[key] = (self._clock() + KEPT_SECONDS, policy)
        return policy

    @staticmethod
    def _entry(session: Session, dn: str) -> Entry | None:
        return next(iter(session.search(dn, _IS_POLICY, POLICY_ATTRIBUTES, below=False)), None)

    def _only_one(self, session: Session) -> Entry | None:
        context = self._facts.of(session).context_of(self._base)
        found = session.search(context, _IS_POLICY, POLICY_ATTRIBUTES, limit=2)
        return found[0] if len(found) == 1 else None
