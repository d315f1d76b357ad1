"""The agent's own log of what it was asked and what it did: one JSON object per line, append-only."""

import datetime as dt
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from idp_plugin.writeback.answer import Answer, Outcome
from idp_plugin.writeback.order import Order, OrderKind

STARTED, STOPPED = 31015, 31016
_SUCCEEDED = {
    OrderKind.SET_PASSWORD: 31002,
    OrderKind.CHANGE_PASSWORD: 31007,
}
_FAILED = {
    Outcome.PASSWORD_REFUSED: 33008,
    Outcome.WRONG_PASSWORD: 33007,
    Outcome.MISCONFIGURED: 33009,
    Outcome.UNAVAILABLE: 33001,
    Outcome.UNKNOWN: 32000,
}
_NOT_PERMITTED = {"missing": 33002, "disabled": 33005}
_NOT_BEGUN = {"unreadable": 32004}


def event_code(kind: OrderKind, answer: Answer) -> int:
    """Return the number by which operators of other products know this.

    Source: reference product, event codes 31001 to 33009 of its password reset service.
    """
    why = answer.why[0] if answer.why else ""
    match answer.outcome:
        case Outcome.DONE:
            return _SUCCEEDED.get(kind, 31002)
        case Outcome.NOT_PERMITTED:
            return _NOT_PERMITTED.get(why, 33004)
        case Outcome.NOT_BEGUN:
            return _NOT_BEGUN.get(why, 32003)
        case _:
            return _FAILED[answer.outcome]


class OrderLog:
    """The file; for its owner only. Thread-safe."""

    def __init__(self, file: Path, clock: Callable[[], dt.datetime]) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()

    def order(self, order: Order, answer: Answer) -> None:
        """Note what came of an order."""
        self.write(
            "order",
            order=order.id,
            kind=order.kind.value,
            subject=order.subject,
            outcome=answer.outcome.value,
            why=" ".join(answer.why),
            code=event_code(order.kind, answer),
        )

    def write(self, event: str, **facts: str | int) -> None:
        """Note an event; facts are identifiers and numbers, never a name, a password or a sentence."""
        line = json.dumps({"at": self._clock().isoformat(timespec="milliseconds"), "event": event, **facts})
        with self._lock:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a") as output:
                output.write(f"{line}\n")
