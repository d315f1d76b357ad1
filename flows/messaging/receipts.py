"""What became of messages that providers took: told by receipts and call-backs, kept in the audit."""

import datetime as dt
import enum
import json
from collections.abc import Callable

from flows.messaging.message import Handed, MessageKind
from flows.messaging.undeliverable import note_undeliverable
from store.audit import AuditAction
from store.database import Database
from store.expiring import Expiring

LIVES = dt.timedelta(days=7)
"""Receipts that come later are about nothing any more; mail servers try for five days (RFC 5321 4.5.4.1)."""
_EARLY = dt.timedelta(minutes=10)
_EXPECTED = "expected receipt"
_CAME = "early receipt"


class DeliveryState(enum.StrEnum):
    """How a message ended."""

    DELIVERED = "delivered"
    """The phone has it; of a call: somebody answered and pressed the key."""
    FAILED = "failed"
    """It never will."""


class Receipts:
    """Joins receipts to messages, whichever of the two is known first; each message ends once."""

    def __init__(self, *, database: Database, expiring: Expiring, clock: Callable[[], dt.datetime]) -> None:
        self._database = database
        self._expiring = expiring
        self._clock = clock

    def expect(
        self, handed: Handed, *, person_id: str | None, reference: str, channel: str, kind: str
    ) -> None:
        """Note what a provider's id stands for.

        Args:
            handed: As the channel returned it.
            person_id: Whose audit tells of it.
            reference: The message's.
            channel: The message's.
            kind: The message's.
        """
        about = {"person": person_id, "reference": reference, "channel": channel, "kind": kind}
        self._expiring.put(_EXPECTED, _key(handed), json.dumps(about).encode(), ttl=LIVES)
        # A receipt may be faster than we are.
        if came := self._expiring.take(_CAME, _key(handed)):
            self.came(handed, DeliveryState(came.decode()))

    def came(self, handed: Handed, state: DeliveryState) -> None:
        """Record how a message ended; for an unknown one, wait until it is."""
        self._expiring.put(_CAME, _key(handed), state.value.encode(), ttl=_EARLY)
        about = self._expiring.take(_EXPECTED, _key(handed))
        if about is None:
            return
        self._expiring.drop(_CAME, _key(handed))
        known = json.loads(about)
        with self._database.transaction() as transaction:
            transaction.audit.record(
                AuditAction.MESSAGE_DELIVERED
                if state is DeliveryState.DELIVERED
                else AuditAction.MESSAGE_UNDELIVERED,
                now=self._clock(),
                person_id=known["person"],
                reference=known["reference"],
                detail={"channel": known["channel"], "kind": known["kind"], "provider": handed.provider},
            )
        # A call that nobody answered says nothing of its number.
        if state is DeliveryState.FAILED and known["channel"] != "voice":
            note_undeliverable(self._database, known["person"], MessageKind(known["kind"]), now=self._clock())


def _key(handed: Handed) -> str:
    return f"{handed.provider} {handed.id}"
