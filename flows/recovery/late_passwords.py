"""A new password that some target has yet to get: sealed, for minutes, and one writer of it at a time.

Security: the only place where a password outlives its request. It is sealed under a name of its own inside
what `Expiring` seals once more, it expires with the server's own clock, and it is dropped before a newer
password of the same person is written. It never lies on the queue or in SQL.
"""

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from idp_plugin.base import Subject
from store.errors import SealBroken
from store.expiring import Expiring
from store.vault import Vault

TURN_LIVES = dt.timedelta(minutes=5)
"""Longer than any write takes; a worker that died blocks its person for no longer."""
FACTS_OUTLIVE = dt.timedelta(hours=1)
"""How long it is still known, after the password is gone, that somebody is to be told."""
_TURN = "password_turn"
_FACTS = "late_write"
_PASSWORD = "late_password"  # noqa: S105 - a kind's name


@dataclass(frozen=True, slots=True, kw_only=True)
class LateWrite:
    """One password on its way, without the password."""

    person_id: str
    reference: str
    until: dt.datetime
    """When it is given up."""
    targets: Mapping[str, bool]
    """By name, those that are left, and whether the target may have taken it already."""
    tries: int = 0
    order: str = field(default_factory=lambda: secrets.token_hex(8))
    """Random: a job for another order than the kept one is void."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A late write with its password."""

    late: LateWrite
    password: str = field(repr=False)


_JSON = TypeAdapter(LateWrite)


class LatePasswords:
    """At most one for each account."""

    def __init__(self, expiring: Expiring) -> None:
        self._expiring = expiring

    @property
    def _vault(self) -> Vault:
        return self._expiring.vault

    def take_turn(self, account: Subject) -> str | None:
        """Return a token while nobody else writes for this account; None while somebody does."""
        token = secrets.token_hex(16)
        is_ours = self._expiring.put_new(_TURN, _id(account), token.encode(), ttl=TURN_LIVES)
        return token if is_ours else None

    def has_turn(self, account: Subject, token: str) -> bool:
        """Tell whether a turn still lasts."""
        return self._expiring.peek(_TURN, _id(account)) == token.encode()

    def end_turn(self, account: Subject, token: str) -> None:
        """Let the next one write; a turn that was over already is left to whoever has it now."""
        if self.has_turn(account, token):
            self._expiring.drop(_TURN, _id(account))

    def keep(self, account: Subject, kept: Kept, *, now: dt.datetime) -> None:
        """Keep a password until its time is over; only within a turn."""
        sealed = self._vault.seal(kept.password.encode(), _context(account, kept.late))
        # The facts first: a password that nobody knows of would only wait for its end.
        self.note(account, kept.late, now=now)
        self._expiring.put(_PASSWORD, _id(account), sealed, ttl=kept.late.until - now)

    def note(self, account: Subject, late: LateWrite, *, now: dt.datetime) -> None:
        """Keep what became of it so far; only within a turn."""
        ttl = late.until - now + FACTS_OUTLIVE
        self._expiring.put(_FACTS, _id(account), _JSON.dump_json(late), ttl=ttl)

    def read(self, account: Subject) -> LateWrite | None:
        """Return what is on its way, whether or not its password is still there."""
        found = self._expiring.peek(_FACTS, _id(account))
        return _JSON.validate_json(found) if found else None

    def password(self, account: Subject, late: LateWrite) -> str | None:
        """Return the password of a late write; None where its time is over, or its key is gone."""
        sealed = self._expiring.peek(_PASSWORD, _id(account))
        if sealed is None:
            return None
        try:
            return self._vault.open(sealed, _context(account, late)).decode()
        except SealBroken:
            return None

    def take(self, account: Subject) -> Kept | None:
        """Take it out of everybody's reach; only within a turn."""
        late = self.read(account)
        password = self.password(account, late) if late else None
        self.drop(account)
        return Kept(late, password) if late and password else None

    def drop(self, account: Subject) -> None:
        """Forget it, the password first."""
        self._expiring.drop(_PASSWORD, _id(account))
        self._expiring.drop(_FACTS, _id(account))


def tried(late: LateWrite) -> LateWrite:
    """Return a late write as it stands while its targets are being asked once more."""
    return replace(late, tries=late.tries + 1, targets=dict.fromkeys(late.targets, True))


def _id(account: Subject) -> str:
    return json.dumps([account.source, account.id])


def _context(account: Subject, late: LateWrite) -> str:
    return f"late_password:{late.order}:{_id(account)}"
