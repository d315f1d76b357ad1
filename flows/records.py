"""Facts in the expiring store, changed by compare-and-set only."""

import datetime as dt
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from flows.errors import AttemptExpired, Unavailable
from store.errors import Conflict
from store.expiring import Expiring

T = TypeVar("T")
_TRIES = 100


class Records(Generic[T]):
    """Frozen dataclasses as JSON, sealed by the store and bound to their kind and id."""

    def __init__(self, expiring: Expiring, kind: str, shape: type[T]) -> None:
        """Take what they are: `kind` names them in the store, `shape` is their dataclass."""
        self._expiring = expiring
        self._kind = kind
        self._json: TypeAdapter[T] = TypeAdapter(shape)

    def create(self, record_id: str, record: T, *, ttl: dt.timedelta) -> None:
        """Store a new record; later changes do not lengthen its life."""
        self._expiring.put(self._kind, record_id, self._json.dump_json(record), ttl=ttl)

    def read(self, record_id: str) -> T | None:
        """Return the newest facts, or None."""
        stored = self._expiring.read(self._kind, record_id)
        return self._json.validate_json(stored.value) if stored else None

    def change(self, record_id: str, function: Callable[[T], T]) -> T:
        """Apply a pure function to the newest facts and store the result, or let it raise.

        Args:
            record_id: Which one.
            function: Called again with newer facts when somebody else was faster.

        Returns:
            What is now stored.

        Raises:
            AttemptExpired: There is none.
            Unavailable: Others were faster a hundred times.
        """
        for _ in range(_TRIES):
            stored = self._expiring.read(self._kind, record_id)
            if stored is None:
                raise AttemptExpired
            changed = function(self._json.validate_json(stored.value))
            try:
                self._expiring.swap(
                    self._kind, record_id, self._json.dump_json(changed), version=stored.version
                )
            except Conflict:
                continue
            return changed
        raise Unavailable
