"""The queue under the jobs: huey on Redis, with sealed JSON instead of pickles.

Security: Redis is not trusted with power (S21). huey's own serialiser is pickle, which executes what it
reads; ours writes JSON, sealed. What does not open, is no JSON, or names no registered job is dropped
with a log line and never executed.
"""

import datetime as dt
import json
import logging
from collections.abc import Set as AbstractSet
from typing import Any

import redis
from huey.api import Huey, Task
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from pydantic import AwareDatetime, BaseModel, ConfigDict, NaiveDatetime, ValidationError

from store.errors import SealBroken
from store.vault import Vault

Body = dict[str, Any]
NAMESPACE = "job"
_CONTEXT = "job"
_OLDEST = dt.timedelta(days=7)
_log = logging.getLogger(__name__)
# huey's own lines tell tracebacks and arguments; ours tell names and ids.
logging.getLogger("huey").setLevel(logging.CRITICAL)


class Dropped(Exception):
    """A message that is not ours, or of a job that we do not know."""


class Order(BaseModel):
    """What is sealed on the queue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    body: Body
    not_before: NaiveDatetime | None
    retries: int
    retry_delay: float
    made_at: AwareDatetime


class Queue(Huey):  # type: ignore[misc]
    """huey, but what cannot be read is dropped instead of stopping the worker for a while."""

    def dequeue(self) -> Task | None:
        """Return the next job, or None where there is none or it was dropped."""
        try:
            data = self.storage.dequeue()
        except redis.RedisError:
            _log.warning("the queue does not answer")
            raise
        return None if data is None else self._read(data)

    def _deserialize_all(self, messages: list[bytes]) -> list[Task]:
        tasks = [self._read(message) for message in messages]
        return [task for task in tasks if task is not None]

    def _read(self, data: bytes) -> Task | None:
        try:
            return self.deserialize_task(data)
        except Dropped as dropped:
            _log.warning("a queued message was dropped: %s", dropped)
            return None

    def is_revoked(self, task: Task, timestamp: object = None, peek: bool = True) -> bool:
        """Say no."""
        # Nothing here revokes; asking would read one more value that others may have written.
        del task, timestamp, peek
        return False

    def delete(self, key: str) -> None:
        """Leave revocations alone: there are none."""
        del key


class QuietConsumer(Consumer):  # type: ignore[misc]
    """huey's worker threads, without its signal handlers."""

    def _set_signal_handlers(self) -> None:
        """Leave the process's handlers alone."""


class SealedJson(Serializer):  # type: ignore[misc]
    """One message as a sealed `Order`."""

    def __init__(self, vault: Vault, names: AbstractSet[str]) -> None:
        super().__init__()
        self._vault = vault
        self._names = names

    def serialize(self, data: Message) -> bytes:
        """Seal a message."""
        (body,) = data.args
        document = {
            "id": data.id,
            "name": data.name.removeprefix(f"{NAMESPACE}."),
            "body": body,
            "not_before": data.eta.isoformat() if data.eta else None,
            "retries": data.retries,
            "retry_delay": data.retry_delay,
            "made_at": dt.datetime.now(dt.UTC).isoformat(),
        }
        return self._vault.seal(json.dumps(document).encode(), _CONTEXT)

    def deserialize(self, data: bytes) -> Message:
        """Open a message; raises `Dropped` for whatever is not ours, not allowed, or of last week."""
        order = self._read(data)
        if order.name not in self._names:
            raise Dropped("its job is not registered here")
        if dt.datetime.now(dt.UTC) - order.made_at > _OLDEST:
            raise Dropped("it is too old")
        return Message(
            id=order.id,
            name=f"{NAMESPACE}.{order.name}",
            eta=order.not_before,
            retries=order.retries,
            retry_delay=order.retry_delay,
            retry_backoff=2,
            args=(order.body,),
            kwargs={},
        )

    def _read(self, data: bytes) -> Order:
        try:
            return Order.model_validate_json(self._vault.open(data, _CONTEXT))
        except SealBroken as error:
            raise Dropped("its seal is broken") from error
        except ValidationError as error:
            raise Dropped("it is no job") from error
