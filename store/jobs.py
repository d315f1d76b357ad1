"""Jobs: named functions with a JSON body, run by a worker after the response.

Security: what lies on the queue is sealed, and only registered names are run (S21): see `job_queue`.
"""

import datetime as dt
import json
import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import redis
from huey.api import Task
from huey.consumer import Consumer
from huey.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

from store.expiring import unavailable
from store.job_queue import NAMESPACE, Body, Queue, QuietConsumer, SealedJson
from store.redis_client import RedisClient
from store.vault import Vault

_QUEUE = "sparekey"
_WAIT_SECONDS = 3
_IDLE_SECONDS = 0.5
_log = logging.getLogger(__name__)


class UnknownJob(Exception):
    """Nothing is registered under this name."""


class Jobs:
    """One queue on the same server as everything that expires."""

    def __init__(self, url: str, vault: Vault, *, immediate: bool = False) -> None:
        """Take the server's address and the key ring; nothing is sent yet.

        Args:
            immediate: Run each job inside `enqueue`, without a server; for tests.
        """
        self.immediate = immediate
        self._names: set[str] = set()
        self._queue = Queue(
            _QUEUE,
            results=False,
            serializer=SealedJson(vault, self._names),
            storage_class=RedisStorage,
            connection_pool=_pool(url),
            read_timeout=_IDLE_SECONDS,
        )
        self._queue.storage.conn = RedisClient(connection_pool=self._queue.storage.pool)
        self._functions: dict[str, Callable[[Body], None]] = {}
        self._tasks: dict[str, type[Task]] = {}
        self._consumer: Consumer | None = None

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

        run.__module__ = NAMESPACE
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
        self._consumer = QuietConsumer(
            self._queue, workers=workers, periodic=False, check_worker_health=False
        )
        self._consumer.start()

    def stop(self) -> None:
        """Stop the worker once the jobs that it is at are done, and close the connections."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.stop(graceful=True)
        self._queue.storage.conn.close()

    def pending(self) -> int:
        """Return how many jobs wait, delayed ones included."""
        with unavailable():
            return int(self._queue.pending_count() + self._queue.scheduled_count())


def _pool(url: str) -> redis.ConnectionPool:
    # A command is sent once: a lost answer must neither queue a job twice nor take two for one.
    return redis.ConnectionPool.from_url(
        url,
        socket_timeout=_WAIT_SECONDS,
        socket_connect_timeout=_WAIT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


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
