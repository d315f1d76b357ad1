"""Authenticators: bound means of proof, their secrets sealed."""

import datetime as dt
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from store.columns import first_of
from store.models import AuthenticatorRow, PersonRow
from store.people import People
from store.policies import Policies
from store.vault import Vault

_COLUMNS = AuthenticatorRow.__table__.c
# As in `people`: queries that are built once.
_OF_PERSON = (
    select(*_COLUMNS)
    .where(_COLUMNS.person_id == bindparam("person_id"))
    .order_by(_COLUMNS.created_at, _COLUMNS.kind, _COLUMNS.number)
)
_BY_ID = select(*_COLUMNS).where(_COLUMNS.id == bindparam("id"))


@dataclass(frozen=True, slots=True)
class Authenticator:
    """A bound means of proof."""

    id: str
    person_id: str
    kind: str
    """`email`, `totp`, …"""
    secret: bytes = field(repr=False)
    """Opened: an address in UTF-8, a TOTP seed, digests of recovery codes; never log."""
    created_at: dt.datetime
    confirmed_at: dt.datetime
    """When the person last proved or confirmed it; re-confirmation counts from here."""
    trusted_from: dt.datetime
    """From when it proves something in a reset (S1); before, it only satisfies the gate."""
    suspended_at: dt.datetime | None
    provenance: str
    """`self`, `directory` or `registration_code`."""
    last_step: int | None
    """The newest TOTP time step that was used; None for other kinds and before the first use."""
    number: int
    """1, 2, … among the person's authenticators of this kind; never given twice while any remains."""
    confirmed_version: int = 0
    """The newest version of the policy when the person last proved or confirmed it."""

    def usable(self, now: dt.datetime) -> bool:
        """Tell whether it may prove something in a reset now."""
        return self.suspended_at is None and self.trusted_from <= now


class Authenticators:
    """Authenticators, within one transaction."""

    def __init__(self, connection: Connection, vault: Vault) -> None:
        self._connection = connection
        self._vault = vault

    def of(self, person_id: str) -> tuple[Authenticator, ...]:
        """Return the person's authenticators, oldest first, suspended ones too.

        Raises:
            SealBroken: A secret is sealed under a key that is not on the ring.
        """
        rows = self._connection.execute(_OF_PERSON, {"person_id": person_id})
        return tuple(self._opened(row) for row in rows)

    def get(self, authenticator_id: str) -> Authenticator | None:
        """Return one authenticator, or None where it was removed."""
        row = self._connection.execute(_BY_ID, {"id": authenticator_id}).one_or_none()
        return self._opened(row) if row else None

    def add(
        self,
        person_id: str,
        kind: str,
        secret: bytes,
        *,
        now: dt.datetime,
        trusted_from: dt.datetime,
        provenance: str,
        lookup: str = "",
    ) -> Authenticator:
        """Bind an authenticator; it counts as confirmed now.

        Args:
            secret: Opened; sealed here and bound to the new id.
            lookup: `Vault.digest` of a normalised address, so that people who share it can be counted.
        """
        identifier = uuid.uuid4().hex
        added = insert(AuthenticatorRow).values(
            id=identifier,
            person_id=person_id,
            kind=kind,
            number=self._next_number(person_id, kind),
            secret=self._vault.seal(secret, _context(identifier)),
            lookup=lookup,
            provenance=provenance,
            created_at=now,
            confirmed_at=now,
            confirmed_version=self._newest_version(),
            trusted_from=trusted_from,
        )
        row = self._connection.execute(added.returning(*_COLUMNS)).one()
        People(self._connection).registered(person_id, now=now)
        return self._opened(row)

    def _next_number(self, person_id: str, kind: str) -> int:
        # The person's row is locked, so that two bindings at once get two numbers.
        self._connection.execute(select(PersonRow.id).where(PersonRow.id == person_id).with_for_update())
        highest = self._connection.scalar(
            select(func.max(AuthenticatorRow.number)).where(
                AuthenticatorRow.person_id == person_id, AuthenticatorRow.kind == kind
            )
        )
        return (highest or 0) + 1

    def shared_by(self, kind: str, lookup: str | Collection[str]) -> int:
        """Count the people who registered an address.

        Args:
            lookup: The address's `Vault.digests`, so that a rotation of keys hides nobody; or one digest.
        """
        lookups = [lookup] if isinstance(lookup, str) else list(lookup)
        counted = select(func.count(func.distinct(AuthenticatorRow.person_id))).where(
            AuthenticatorRow.kind == kind, AuthenticatorRow.lookup.in_(lookups), AuthenticatorRow.lookup != ""
        )
        return self._connection.scalar(counted) or 0

    def sharing(self, kind: str, lookups: Collection[str], *, limit: int) -> tuple[Authenticator, ...]:
        """Return who registered an address, oldest first, suspended ones too; `lookups` as in `shared_by`."""
        rows = self._connection.execute(
            select(*_COLUMNS)
            .where(
                AuthenticatorRow.kind == kind,
                AuthenticatorRow.lookup.in_(list(lookups)),
                AuthenticatorRow.lookup != "",
            )
            .order_by(AuthenticatorRow.created_at, AuthenticatorRow.id)
            .limit(limit)
        )
        return tuple(self._opened(row) for row in rows)

    def confirm(self, authenticator_id: str, *, now: dt.datetime) -> None:
        """Restart the re-confirmation clock of one authenticator."""
        self._confirm(AuthenticatorRow.id == authenticator_id, now)

    def confirm_all(self, person_id: str, *, now: dt.datetime) -> None:
        """Restart the clock of everything the person has; suspended ones stay suspended."""
        own = AuthenticatorRow.person_id == person_id
        self._confirm(own & AuthenticatorRow.suspended_at.is_(None), now)

    def remove(self, authenticator_id: str) -> None:
        """Unbind it, and void what was said of the person (S12)."""
        self._bump(authenticator_id)
        self._connection.execute(delete(AuthenticatorRow).where(AuthenticatorRow.id == authenticator_id))

    def suspend(self, authenticator_id: str, *, now: dt.datetime) -> None:
        """Let it neither count nor prove anything, and void what was said of the person (S12)."""
        self._bump(authenticator_id)
        suspended_at = first_of(AuthenticatorRow.suspended_at, now)
        self._change(AuthenticatorRow.id == authenticator_id, suspended_at=suspended_at)

    def use_step(self, authenticator_id: str, step: int) -> bool:
        """Record a TOTP time step; False when it or a later one was used already.

        Source: RFC 6238 section 5.2 (accept a code once). One statement, so that of two at once one wins.
        """
        unused = AuthenticatorRow.last_step.is_(None) | (AuthenticatorRow.last_step < step)
        return self._change((AuthenticatorRow.id == authenticator_id) & unused, last_step=step) == 1

    def change_secret(
        self, authenticator_id: str, function: Callable[[bytes], bytes]
    ) -> Authenticator | None:
        """Replace a secret by what a function makes of its newest state.

        The row is locked before it is read, so that of two changes at once neither is lost.

        Returns:
            The authenticator as it now is, or None where it was removed.
        """
        locked = _BY_ID.with_for_update()
        row = self._connection.execute(locked, {"id": authenticator_id}).one_or_none()
        if row is None:
            return None
        found = self._opened(row)
        changed = replace(found, secret=function(found.secret))
        sealed = self._vault.seal(changed.secret, _context(authenticator_id))
        self._change(AuthenticatorRow.id == authenticator_id, secret=sealed)
        return changed

    def use_up(self, authenticator_id: str, *, now: dt.datetime) -> None:
        """Suspend what has no answer left.

        Unlike `suspend` this voids nothing that was said of the person: the proof that its last answer
        just gave stands.
        """
        suspended_at = first_of(AuthenticatorRow.suspended_at, now)
        self._change(AuthenticatorRow.id == authenticator_id, suspended_at=suspended_at)

    def reseal(self, batch: int, lookup_of: Callable[[Authenticator], str] | None = None) -> int:
        """Seal up to `batch` secrets under the newest key; 0 when nothing is left to do.

        Args:
            lookup_of: Makes the digest of an address anew, where addresses are counted.
        """
        prefix = self._vault.seal(b"", "")[:5]
        rows = self._connection.execute(
            select(*_COLUMNS)
            .where(func.substr(AuthenticatorRow.secret, 1, len(prefix)) != prefix)
            .limit(batch)
            .with_for_update(skip_locked=True)
        ).all()
        for row in rows:
            authenticator = self._opened(row)
            sealed = self._vault.seal(authenticator.secret, _context(authenticator.id))
            lookup = lookup_of(authenticator) if lookup_of and row.lookup else row.lookup
            self._change(AuthenticatorRow.id == authenticator.id, secret=sealed, lookup=lookup)
        return len(rows)

    def _confirm(self, which: object, now: dt.datetime) -> None:
        self._change(which, confirmed_at=now, confirmed_version=self._newest_version())

    def _newest_version(self) -> int:
        return Policies(self._connection).newest_version()

    def _change(self, which: object, **values: object) -> int:
        changed = update(AuthenticatorRow).where(which).values(**values)  # type: ignore[arg-type]
        return self._connection.execute(changed).rowcount

    def _bump(self, authenticator_id: str) -> None:
        owner = self._connection.scalar(
            select(AuthenticatorRow.person_id).where(AuthenticatorRow.id == authenticator_id)
        )
        if owner is not None:
            People(self._connection).bump_epoch(owner)

    def _opened(self, row: Row[Any]) -> Authenticator:
        return Authenticator(
            id=row.id,
            person_id=row.person_id,
            kind=row.kind,
            secret=self._vault.open(row.secret, _context(row.id)),
            created_at=row.created_at,
            confirmed_at=row.confirmed_at,
            trusted_from=row.trusted_from,
            suspended_at=row.suspended_at,
            provenance=row.provenance,
            last_step=row.last_step,
            number=row.number,
            confirmed_version=row.confirmed_version,
        )


def _context(authenticator_id: str) -> str:
    return f"authenticator:{authenticator_id}"
