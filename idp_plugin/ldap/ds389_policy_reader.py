"""Finds the 389-ds password policy that holds for a person, and remembers it for a minute."""

import threading
import time
from collections.abc import Callable, Sequence

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.ldap.connection import Entry, Session
from idp_plugin.ldap.ds389_policy import POLICY_ATTRIBUTES, Ds389Policy
from idp_plugin.ldap.message import Control
from idp_plugin.ldap.names import comparable
from idp_plugin.ldap.server_facts import ServerFacts

KEPT_SECONDS = 60.0

_CONFIGURATION = "cn=config"
_ANY = "(|(objectClass=*)(objectClass=ldapsubentry))"


class Ds389PolicyReader:
    """Thread-safe; a policy that was just changed is seen after `KEPT_SECONDS`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet.

        Args:
            clock: Monotonic seconds.
        """
        self._clock = clock
        self._kept: dict[str, tuple[float, Entry | None]] = {}
        self._may_ask: dict[str, bool] = {}
        self._lock = threading.Lock()

    def of(self, session: Session, person: Entry) -> Ds389Policy:
        """Return the policy in force.

        Raises:
            IdpMisconfigured: The service account may not read the global one.
        """
        whole = self._entry(session, _CONFIGURATION)
        if whole is None or not whole.attributes:
            raise IdpMisconfigured(f"password policy in {_CONFIGURATION} cannot be read on {session.server}")
        local = person.first("pwdPolicySubentry")
        return Ds389Policy.of(whole, self._entry(session, local) if local else None)

    def _entry(self, session: Session, dn: str) -> Entry | None:
        key = comparable(dn)
        with self._lock:
            until, entry = self._kept.get(key, (0.0, None))
        if until > self._clock():
            return entry
        entry = next(iter(session.search(dn, _ANY, POLICY_ATTRIBUTES, below=False)), None)
        with self._lock:
            self._kept[key] = (self._clock() + KEPT_SECONDS, entry)
        return entry

    def usability(self, session: Session, facts: ServerFacts, control: Control) -> Sequence[Control]:
        """Return the control if the server has it and the service account may use it."""
        server = str(session.server)
        with self._lock:
            may_ask = self._may_ask.get(server)
        if may_ask is None:
            may_ask = facts.tells_usability and _is_taken(session, control)
            with self._lock:
                self._may_ask[server] = may_ask
        return (control,) if may_ask else ()


def _is_taken(session: Session, control: Control) -> bool:
    try:
        session.search("", "(objectClass=*)", ["1.1"], below=False, controls=[control])
    except IdpMisconfigured:
        return False
    return True
