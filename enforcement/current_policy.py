"""The policy in force: read from the store, kept for a second."""

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable

from enforcement.policy import Policy, PolicyInvalid, from_document, load
from store.audit import AuditAction, Detail
from store.database import Database
from store.policies import StoredPolicy

_FRESH_SECONDS = 1.0
_log = logging.getLogger(__name__)


class NoPolicy(Exception):
    """No policy document was ever stored."""


class CurrentPolicy:
    """The newest stored policy, at most one second old."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._read_at = float("-inf")

    def get(self) -> Policy:
        """Return the policy in force.

        Raises:
            NoPolicy: None was ever stored.
            StoreUnavailable: It must be read again, and the database does not answer.
            PolicyInvalid: The first one read is none that this version of Sparekey understands.
        """
        if self._policy is not None and self._clock() - self._read_at < _FRESH_SECONDS:
            return self._policy
        with self._lock:
            return self._refresh()

    def last_known(self) -> Policy | None:
        """Return the policy that was last in force, without asking the database: for faults."""
        return self._policy

    def _refresh(self) -> Policy:
        asked_at = self._clock()
        if self._policy is not None and asked_at - self._read_at < _FRESH_SECONDS:
            return self._policy
        known = self._policy.version if self._policy else 0
        with self._database.reading() as transaction:
            newer = transaction.policies.newest() if transaction.policies.newest_version() > known else None
        self._policy = self._policy if newer is None else self._understood(newer)
        self._read_at = asked_at
        if self._policy is None:
            raise NoPolicy
        return self._policy

    def _understood(self, stored: StoredPolicy) -> Policy:
        try:
            return from_document(stored.document, version=stored.version).in_force()
        except PolicyInvalid:
            if self._policy is None:
                raise
            # Another gateway, newer than this one, stored it: the one before it stays in force here.
            _log.exception("policy %s is not understood; %s stays", stored.version, self._policy.version)
            return self._policy


def adopt(database: Database, text: str, *, author: str, now: dt.datetime) -> Policy:
    """Put a document (TOML) in force, unless the newest stored version already says the same.

    Raises:
        PolicyInvalid: With every problem; nothing is stored.
        Conflict: Another document was stored at the same time.
    """
    policy = load(text)
    with database.transaction() as transaction:
        before = transaction.policies.newest_version()
        stored = transaction.policies.store(policy.document(), author=author, now=now)
        if stored.version != before:
            detail: Detail = {"version": stored.version, "author": author}
            transaction.audit.record(AuditAction.POLICY_STORED, now=now, detail=detail)
    return policy.model_copy(update={"version": stored.version})
