"""Jobs: named functions with a JSON body, run by a worker after the response.

Security: Redis is not trusted with power (S21). huey's own serialiser is pickle, which executes what it
reads; ours writes JSON, sealed. What does not open, is no JSON, or names no registered job is dropped
with a log line and never executed.
"""

import datetime as dt
import json
import logging
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from huey.api import Huey, Task
from huey.consumer import Consumer
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import RedisStorage
from pydantic import AwareDatetime, BaseModel, ConfigDict, NaiveDatetime, ValidationError

from store.errors import SealBroken
from store.expiring import unavailable
from store.vault import Vault

Body = dict[str, Any]
_QUEUE = "sparekey"
_NAMESPACE = "job"
_CONTEXT = "job"
_WAIT_SECONDS = 0.5
_OLDEST = dt.timedelta(days=7)
_log = logging.getLogger(__name__)
# huey's own lines tell tracebacks and arguments; ours tell names and ids.
logging.getLogger("huey").setLevel(logging.CRITICAL)


class UnknownJob(Exception):
    """Nothing is registered under this name."""


class _Dropped(Exception):
    """A message that is not ours, or of a job that we do not know."""


class Jobs:
    """One queue on the same server as everything that expires."""

    def __init__(self, url: str, vault: Vault, *, immediate: bool = False) -> None:
        """Take the server's address and the key ring; nothing is sent yet.

        Args:
            immediate: Run each job inside `enqueue`, without a server; for tests.
        """
        self.immediate = immediate
        self._names: set[str] = set()
        self._queue = _Queue(
            _QUEUE,
            results=False,
            serializer=_SealedJson(vault, self._names),
            storage_class=RedisStorage,
            connection_pool=redis.ConnectionPool.from_url(url),
            read_timeout=_WAIT_SECONDS,
        )
        self._functions: dict[str, Callable[[Body], None]] = {}
        self._tasks: dict[str, type[Task]] = {}
        self._consumer: Consumer | None = None
        self._stopped = threading.Event()

    def register(
        self,
        name: str,
        function: Callable[[Body], None],
        *,
        retries: int = 5,
        retry_delay: dt.timedelta = dt.timedelta(seconds=10),
    ) -> None:
        """Allow a job.

        Args:
            name: What is written on the queue; every process that enqueues or works must register it.
            function: Called with the body. An exception means: again, `retries` times at most, each time
                after twice the wait.
            retry_delay: The first wait.
        """

        def run(body: Body) -> None:
            try:
                function(body)
            except Exception as error:
                _log.warning("job %s failed: %s", name, _whereabouts(error))
                raise

        run.__module__ = _NAMESPACE
        settings = {
            "default_retries": retries,
            "default_retry_delay": retry_delay.total_seconds(),
            "default_retry_backoff": 2,
        }
        wrapper = self._queue.get_task_wrapper_class()(self._queue, run, name=name, **settings)
        self._tasks[name] = wrapper.task_class
        self._functions[name] = function
        self._names.add(name)

    def enqueue(self, name: str, body: Body, *, delay: dt.timedelta | None = None) -> None:
        """Put a job on the queue.

        Args:
            body: What JSON can hold; sealed on the queue. Ids rather than facts, so that a job that comes
                late acts on what is true then.
            delay: Not before.

        Raises:
            UnknownJob: Not registered here.
            StoreUnavailable: Not queued, as far as we know.
        """
        if name not in self._tasks:
            raise UnknownJob(name)
        if self.immediate:
            self._functions[name](json.loads(json.dumps(body)))
            return
        task = self._tasks[name](args=(body,), eta=_naive_utc(delay) if delay else None)
        with unavailable():
            if delay:
                self._queue.add_schedule(task)
            else:
                self._queue.enqueue(task)

    def drain(self, *, now: dt.datetime | None = None) -> int:
        """Run everything that is due, here and now; for tests and commands.

        Args:
            now: Aware time by which delayed jobs and retries are due; the current time without it.

        Returns:
            How many jobs were run, those that failed included.
        """
        at = (now or dt.datetime.now(dt.UTC)).astimezone(dt.UTC).replace(tzinfo=None)
        done = 0
        with unavailable():
            for task in self._queue.read_schedule(at):
                self._queue.enqueue(_due(task))
            for _ in range(self._queue.pending_count()):
                task = self._queue.dequeue()
                if task is not None:
                    self._queue.execute(task)
                    done += 1
        return done

    def start_thread(self, workers: int = 1) -> None:
        """Work in threads of this process until `stop`; signal handlers are left alone."""
        self._consumer = _QuietConsumer(
            self._queue, workers=workers, periodic=False, check_worker_health=False
        )
        self._consumer.start()

    def run_worker(self, workers: int = 1) -> None:
        """Work until `stop` is called in another thread, or this one is interrupted; jobs are finished."""
        self._stopped.clear()
        self.start_thread(workers)
        try:
            self._stopped.wait()
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop the worker once the jobs that it is at are done, and close the connections."""
        consumer, self._consumer = self._consumer, None
        self._stopped.set()
        if consumer is not None:
            consumer.stop(graceful=True)
        self._queue.storage.pool.disconnect()

    def pending(self) -> int:
        """Return how many jobs wait, delayed ones included."""
        with unavailable():
            return int(self._queue.pending_count() + self._queue.scheduled_count())


class _Order(BaseModel):
    """What is sealed on the queue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    body: Body
    not_before: NaiveDatetime | None
    retries: int
    retry_delay: float
    made_at: AwareDatetime


class _Queue(Huey):  # type: ignore[misc]
    """huey, but what cannot be read is dropped instead of stopping the worker for a while."""

    def dequeue(self) -> Task | None:
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
        except _Dropped as dropped:
            _log.warning("a queued message was dropped: %s", dropped)
            return None

    def is_revoked(self, task: Task, timestamp: object = None, peek: bool = True) -> bool:
        # Nothing here revokes; asking would read one more value that others may have written.
        del task, timestamp, peek
        return False

    def delete(self, key: str) -> None:
        del key


class _QuietConsumer(Consumer):  # type: ignore[misc]
    def _set_signal_handlers(self) -> None:
        """Leave the process's handlers alone."""


class _SealedJson(Serializer):  # type: ignore[misc]
    """One message as a sealed `_Order`."""

    def __init__(self, vault: Vault, names: set[str]) -> None:
        super().__init__()
        self._vault = vault
        self._names = names

    def serialize(self, data: Message) -> bytes:
        (body,) = data.args
        document = {
            "id": data.id,
            "name": data.name.removeprefix(f"{_NAMESPACE}."),
            "body": body,
            "not_before": data.eta.isoformat() if data.eta else None,
            "retries": data.retries,
            "retry_delay": data.retry_delay,
            "made_at": dt.datetime.now(dt.UTC).isoformat(),
        }
        return self._vault.seal(json.dumps(document).encode(), _CONTEXT)

    def deserialize(self, data: bytes) -> Message:
        order = self._read(data)
        if order.name not in self._names:
            raise _Dropped("its job is not registered here")
        if dt.datetime.now(dt.UTC) - order.made_at > _OLDEST:
            raise _Dropped("it is too old")
        return Message(
            id=order.id,
            name=f"{_NAMESPACE}.{order.name}",
            eta=order.not_before,
            retries=order.retries,
            retry_delay=order.retry_delay,
            retry_backoff=2,
            args=(order.body,),
            kwargs={},
        )

    def _read(self, data: bytes) -> _Order:
        try:
            return _Order.model_validate_json(self._vault.open(data, _CONTEXT))
        except SealBroken as error:
            raise _Dropped("its seal is broken") from error
        except ValidationError as error:
            raise _Dropped("it is no job") from error


def _whereabouts(error: Exception) -> str:
    # Security: what third parties write into their errors, addresses for example, belongs in no log.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"


def _due(task: Task) -> Task:
    task.eta = None
    return task


def _naive_utc(delay: dt.timedelta) -> dt.datetime:
    # huey compares naive UTC times.
    return dt.datetime.now(dt.UTC).replace(tzinfo=None) + delay
