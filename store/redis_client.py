"""The client for everything that expires: one command, sent once, over a connection that nobody else uses.

The library's own way of lending connections and counting commands takes twice as long as a command.
"""

import contextlib
import os
from collections import deque
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_WAIT_SECONDS = 3


class RedisClient(redis.Redis):
    """Thread-safe. Only single commands take the short way; pipelines go the library's."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._idle: deque[Any] = deque()

    @classmethod
    def at(cls, url: str) -> "RedisClient":
        """Return a client of `redis://`, `rediss://` or `unix://`; nothing is sent yet."""
        # Security: a command is never sent twice: after a lost answer, a second `GETDEL` would lie.
        client = cls.from_url(
            url,
            socket_timeout=_WAIT_SECONDS,
            socket_connect_timeout=_WAIT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=30,
        )
        return cast(RedisClient, client)

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send a command and return its answer; a connection that fails is closed by what it raises."""
        connection = self._taken()
        try:
            connection.send_command(*args)
            return self.parse_response(connection, args[0], **options)  # type: ignore[no-untyped-call]
        finally:
            self._idle.append(connection)

    def close(self) -> None:
        """Close every connection."""
        while self._idle:
            self._idle.pop().disconnect()
        super().close()
        self.connection_pool.disconnect()

    def _taken(self) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            return self.connection_pool.make_connection()
        if connection.pid != os.getpid():
            # Two processes must not speak over one connection.
            return self._taken()
        # What waits to be read is the end of the connection, or the answer to another question.
        with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
            if not connection.can_read():
                return connection
        connection.disconnect()
        return connection
