"""The demo directory: a tree of entries under a password policy, as an OpenLDAP server would keep it.

The wire is `directory_server`; this is what it serves. Only what `idp_plugin.ldap.openldap` meets is here:
binds, searches, password writes, locks. The rights are those of a careful installation: a service
account that may write passwords and locks below `ou=people` and read, people who may change their own
password, and nobody else.
"""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from idp_plugin.demo.directory_entry import (
    Credential,
    DirectoryEntry,
    hashed,
    is_password,
)
from idp_plugin.ldap.names import comparable
from idp_plugin.ldap.password_policy_control import PasswordPolicyError

SUCCESS = 0
OPERATIONS_ERROR = 1
PROTOCOL_ERROR = 2
SIZE_LIMIT_EXCEEDED = 4
STRONGER_AUTH_REQUIRED = 8
NO_SUCH_ATTRIBUTE = 16
CONSTRAINT_VIOLATION = 19
NO_SUCH_OBJECT = 32
INVALID_CREDENTIALS = 49
INSUFFICIENT_ACCESS = 50
UNWILLING = 53

SUFFIX = "dc=example,dc=org"
PEOPLE_BASE = f"ou=people,{SUFFIX}"
GROUPS_BASE = f"ou=groups,{SUFFIX}"
SERVICE_DN = f"cn=svc-reset,ou=services,{SUFFIX}"
POLICY_DN = f"cn=default,ou=policies,{SUFFIX}"


class Refused(Exception):
    """An LDAP result other than success."""

    def __init__(self, code: int, policy: PasswordPolicyError | None = None, *, known: bool = True) -> None:
        super().__init__(code)
        self.code = code
        self.policy = policy
        self.known = known
        """False where the answer carries no policy control at all: slapd leaves it out for unknown names."""


@dataclass(frozen=True, slots=True)
class DemoPasswordPolicy:
    """The one policy of the demo directory."""

    minimum_length: int = 8
    history: int = 3
    failures: int = 5
    """So many wrong passwords lock."""
    lockout: dt.timedelta = dt.timedelta(days=1)
    """Zero locks until somebody unlocks."""
    maximum_age: dt.timedelta = dt.timedelta(days=90)
    minimum_age: dt.timedelta = dt.timedelta(0)

    def attributes(self) -> dict[str, tuple[str, ...]]:
        """Return the policy entry's attributes."""
        return {
            "objectClass": ("applicationProcess", "pwdPolicy"),
            "cn": ("default",),
            "pwdAttribute": ("userPassword",),
            "pwdCheckQuality": ("2",),
            "pwdMinLength": (str(self.minimum_length),),
            "pwdInHistory": (str(self.history),),
            "pwdLockout": ("TRUE",),
            "pwdMaxFailure": (str(self.failures),),
            "pwdLockoutDuration": (str(int(self.lockout.total_seconds())),),
            "pwdMaxAge": (str(int(self.maximum_age.total_seconds())),),
            "pwdMinAge": (str(int(self.minimum_age.total_seconds())),),
        }


DEFAULT_POLICY = DemoPasswordPolicy()


def utc_now() -> dt.datetime:
    """Return the time."""
    return dt.datetime.now(dt.UTC)


class DemoDirectory:
    """Entries, passwords and rights. Thread-safe: every public method takes the lock."""

    def __init__(
        self,
        policy: DemoPasswordPolicy = DEFAULT_POLICY,
        clock: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._clock = clock
        self._entries: dict[str, DirectoryEntry] = {}
        self._lock = threading.RLock()
        self._decoy = hashed(b"nobody")
        for name in ("people", "groups", "services", "policies"):
            self.add(f"ou={name},{SUFFIX}", {"objectClass": ("organizationalUnit",), "ou": (name,)})
        self.add(SUFFIX, {"objectClass": ("domain",), "dc": ("example",)})
        self.set_policy(policy)

    def set_policy(self, policy: DemoPasswordPolicy) -> None:
        """Let another policy hold from now on."""
        with self._lock:
            self.policy = policy
            self.add(POLICY_DN, policy.attributes())

    def entry(self, dn: str) -> DirectoryEntry:
        """Return the entry itself, to be arranged.

        Raises:
            KeyError: There is none.
        """
        with self._lock:
            return self._entries[comparable(dn)]

    def add(
        self, dn: str, attributes: Mapping[str, Sequence[str]], password: str | None = None
    ) -> DirectoryEntry:
        """Add or replace an entry; a password is stored without asking the policy."""
        credential = Credential(hashed(password.encode()), self._clock()) if password else None
        entry = DirectoryEntry(dn, attributes, credential)
        with self._lock:
            self._entries[comparable(dn)] = entry
        return entry

    def bind(self, dn: str, password: bytes) -> tuple[DirectoryEntry, PasswordPolicyError | None]:
        """Check a password; return the entry, and CHANGE_AFTER_RESET where it must be changed.

        Raises:
            Refused: With what slapd 2.5 answers in the same case.
        """
        with self._lock:
            entry = self._entries.get(comparable(dn))
            if entry is None or entry.credential is None:
                is_password(password, self._decoy)
                raise Refused(INVALID_CREDENTIALS, known=False)
            credential = entry.credential
            if self._is_locked(credential):
                raise Refused(INVALID_CREDENTIALS, PasswordPolicyError.ACCOUNT_LOCKED)
            if not is_password(password, credential.stored):
                self._count_failure(credential)
                raise Refused(INVALID_CREDENTIALS)
            credential.failures.clear()
            credential.locked_at = None
            if self._is_expired(entry, credential):
                raise Refused(INVALID_CREDENTIALS, PasswordPolicyError.PASSWORD_EXPIRED)
            return entry, PasswordPolicyError.CHANGE_AFTER_RESET if credential.must_change else None

    def search(
        self, asker: DirectoryEntry | None, base: str, *, below: bool
    ) -> Iterator[dict[str, Sequence[str]]]:
        """Return what the asker may see at or below a base, each with its `dn` under an empty name.

        Raises:
            Refused: The base does not exist, or the asker has to change the password first.
        """
        with self._lock:
            if asker is None:
                raise Refused(NO_SUCH_OBJECT)
            if asker.credential and asker.credential.must_change:
                raise Refused(INSUFFICIENT_ACCESS)
            start = comparable(base)
            if start not in self._entries:
                raise Refused(NO_SUCH_OBJECT)
            found = [
                self._readable(entry)
                for dn, entry in self._entries.items()
                if (dn == start or (below and dn.endswith(f",{start}"))) and self._may_read(asker, entry)
            ]
        return iter(found)

    def set_password(self, asker: DirectoryEntry | None, dn: str, new: bytes, old: bytes | None) -> None:
        """Write a password by RFC 3062; an empty `dn` is the asker.

        Raises:
            Refused: With what slapd 2.5 answers in the same case.
        """
        with self._lock:
            if asker is None:
                raise Refused(STRONGER_AUTH_REQUIRED)
            entry = self._entries.get(comparable(dn)) if dn else asker
            if entry is None or entry.credential is None:
                raise Refused(NO_SUCH_OBJECT)
            if not ((entry is asker and _is_person(entry)) or self._may_administer(asker, entry)):
                raise Refused(INSUFFICIENT_ACCESS)
            if old is not None and not is_password(old, entry.credential.stored):
                raise Refused(UNWILLING)
            self._check_quality(entry.credential, new)
            self._store(entry.credential, new)

    def replace(self, asker: DirectoryEntry | None, dn: str, attribute: str, values: Sequence[bytes]) -> None:
        """Replace one of the attributes that the service account may write.

        Raises:
            Refused: Any other attribute, or anybody else.
        """
        name = attribute.lower()
        if name == "userpassword" and len(values) == 1:
            self.set_password(asker, dn, values[0], None)
            return
        with self._lock:
            credential = self._administered(asker, dn)
            if name != "pwdreset":
                raise Refused(INSUFFICIENT_ACCESS)
            credential.must_change = list(values) == [b"TRUE"]

    def remove(self, asker: DirectoryEntry | None, dn: str, attribute: str, values: Sequence[bytes]) -> None:
        """Remove the lock, if it is still this one; what was counted towards it goes with it.

        Raises:
            Refused: Any other attribute, anybody else, or there is no such lock.
        """
        with self._lock:
            credential = self._administered(asker, dn)
            if attribute.lower() != "pwdaccountlockedtime":
                raise Refused(INSUFFICIENT_ACCESS)
            locked = credential.attributes().get("pwdAccountLockedTime", ())
            if not locked or [each.encode() for each in locked] != list(values):
                raise Refused(NO_SUCH_ATTRIBUTE)
            credential.locked_at = None
            credential.is_locked_permanently = False
            credential.failures.clear()

    def _administered(self, asker: DirectoryEntry | None, dn: str) -> Credential:
        entry = self._entries.get(comparable(dn))
        if entry is None or asker is None or entry.credential is None:
            raise Refused(NO_SUCH_OBJECT)
        if not self._may_administer(asker, entry):
            raise Refused(INSUFFICIENT_ACCESS)
        return entry.credential

    @staticmethod
    def _may_read(asker: DirectoryEntry, entry: DirectoryEntry) -> bool:
        return entry is asker or comparable(asker.dn) == SERVICE_DN

    @staticmethod
    def _may_administer(asker: DirectoryEntry, entry: DirectoryEntry) -> bool:
        return comparable(asker.dn) == SERVICE_DN and _is_person(entry)

    def _readable(self, entry: DirectoryEntry) -> dict[str, Sequence[str]]:
        found = entry.everything()
        own = comparable(entry.dn)
        groups = [
            group.dn
            for group in self._entries.values()
            if any(comparable(member) == own for member in group.values("member"))
        ]
        if groups:
            found["memberOf"] = groups
        return {"": (entry.dn,), **found}

    def _is_locked(self, credential: Credential) -> bool:
        if credential.is_locked_permanently:
            return True
        if credential.locked_at is None:
            return False
        return not self.policy.lockout or self._clock() < credential.locked_at + self.policy.lockout

    def _is_expired(self, entry: DirectoryEntry, credential: Credential) -> bool:
        if not self.policy.maximum_age or comparable(entry.dn) == SERVICE_DN:
            return False
        return self._clock() > credential.changed + self.policy.maximum_age

    def _count_failure(self, credential: Credential) -> None:
        credential.failures.append(self._clock())
        if len(credential.failures) >= self.policy.failures:
            credential.locked_at = self._clock()

    def _check_quality(self, credential: Credential, new: bytes) -> None:
        # slapd holds a service account without `manage` to the age, too.
        too_young = self._clock() < credential.changed + self.policy.minimum_age
        if too_young and not credential.must_change:
            raise Refused(CONSTRAINT_VIOLATION, PasswordPolicyError.PASSWORD_TOO_YOUNG)
        if len(new) < self.policy.minimum_length:
            raise Refused(CONSTRAINT_VIOLATION, PasswordPolicyError.PASSWORD_TOO_SHORT)
        if any(is_password(new, stored) for stored in (credential.stored, *credential.history)):
            raise Refused(CONSTRAINT_VIOLATION, PasswordPolicyError.PASSWORD_IN_HISTORY)

    def _store(self, credential: Credential, new: bytes) -> None:
        credential.history = [credential.stored, *credential.history][: self.policy.history]
        credential.stored = hashed(new)
        credential.changed = self._clock()
        credential.must_change = False
        credential.is_locked_permanently = False
        credential.locked_at = None
        credential.failures.clear()


def _is_person(entry: DirectoryEntry) -> bool:
    return comparable(entry.dn).endswith(f",{PEOPLE_BASE}")
