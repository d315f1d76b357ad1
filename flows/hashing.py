"""Password hashing for short secrets that people remember, in a pool of its own.

Security: argon2 costs tens of milliseconds and megabytes on purpose. Hashes wait in a short queue, on few
threads that give way to everything else; who finds the queue full is asked to try again. argon2 lets other
threads run meanwhile.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from flows.errors import Unavailable

T = TypeVar("T")
_LEAST_URGENT = 19
# Source: OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, two passes, one lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class Hashing:
    """A bounded pool."""

    def __init__(self, *, threads: int = 1, waiting: int = 2) -> None:
        """Take how many hash at once, and how many callers may be in here besides."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="hash", initializer=_give_way)
        self._places = threading.BoundedSemaphore(threads + waiting)

    def hashed(self, plain: Sequence[str]) -> tuple[str, ...]:
        """Return one argon2id hash for each text.

        Raises:
            Unavailable: Too many wait already.
        """
        return self._in_pool(lambda: tuple(_HASHER.hash(each) for each in plain))

    def matching(self, plain: Sequence[str], hashes: Sequence[str]) -> tuple[bool, ...]:
        """Tell of each text whether it fits the hash at its place; all are computed, whatever the first says.

        Raises:
            Unavailable: Too many wait already.
        """
        return self._in_pool(
            lambda: tuple(_fits(*pair) for pair in zip(plain, hashes, strict=True)),
        )

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown()

    def _in_pool(self, work: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise Unavailable
        try:
            return self._pool.submit(work).result()
        finally:
            self._places.release()


def _fits(plain: str, stored: str) -> bool:
    try:
        return _HASHER.verify(stored, plain)
    except (VerificationError, InvalidHashError):
        return False


def _give_way() -> None:
    # Source: Linux, setpriority(2): a thread has a nice value of its own. Elsewhere threads stay as they are.
    with contextlib.suppress(AttributeError, OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_URGENT)
