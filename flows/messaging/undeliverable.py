"""Messages that never arrive are evidence: what is registered may not be right any more."""

import datetime as dt

from flows.doubts import put_in_doubt
from flows.messaging.message import MessageKind
from store.database import Database
from store.people import Evidence

_TO_REGISTERED = frozenset({
    MessageKind.RESET_CODE,
    MessageKind.UNLOCK_CODE,
    MessageKind.CHANGE_CODE,
    MessageKind.STEP_UP_CODE,
})  # fmt: skip
"""What is only ever sent to something registered; notices go to the directory's addresses too."""


def note_undeliverable(
    database: Database, person_id: str | None, kind: MessageKind, *, now: dt.datetime
) -> None:
    """Have somebody asked at the next sign-in, where a code went to nobody."""
    if person_id is None or kind not in _TO_REGISTERED:
        return
    with database.transaction() as transaction:
        if transaction.people.get(person_id) is not None:
            put_in_doubt(transaction, person_id, Evidence.UNDELIVERABLE, now=now)
