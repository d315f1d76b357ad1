"""What expires: values in Valkey or Redis, each changed by one atomic operation.

Security: Redis is not trusted (S21). Every value is sealed and bound to its kind and id, so that it opens
nowhere else; a key's name holds only a keyed digest, so that a copy of the append-only file tells nothing.
"""

import contextlib
import datetime as dt
import logging
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import redis
from redis.commands.core import Script

from store.errors import Conflict, SealBroken, StoreMisconfigured, StoreUnavailable
from store.redis_client import RedisClient
from store.vault import Vault

_VERSION_BYTES = 8
_log = logging.getLogger(__name__)

_SWAP = """
local current = redis.call('GET', KEYS[1])
if not current or string.sub(current, 1, 8) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""

_APPEND = """
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""


@dataclass(frozen=True, slots=True)
class Versioned:
    """A value and what must still be true of it when it is swapped."""

    value: bytes = field(repr=False)
    version: int
    """Random, so that a value that was dropped and put anew never passes for the one that was read."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value for the list of one id."""

    kind: str
    id: str
    value: bytes = field(repr=False)
    keep: int
    """How many of the newest stay."""
    ttl: dt.timedelta
    """How long the list lives after its newest entry."""


class Expiring:
    """One connection pool, and the operations."""

    def __init__(self, url: str, vault: Vault) -> None:
        """Connect to `redis://`, `rediss://` or `unix://` and check that nothing is ever evicted.

        Raises:
            StoreUnavailable: No answer.
            StoreMisconfigured: The server may evict keys under memory pressure (S16).
        """
        self.vault = vault
        self.client = RedisClient.at(url)
        self._swap = self.script(_SWAP)
        self._append = self.script(_APPEND)
        with unavailable():
            memory = self.client.info("memory")
        if memory.get("maxmemory_policy") != "noeviction":
            raise StoreMisconfigured("redis: maxmemory-policy is not noeviction")

    def ping(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            StoreUnavailable: No answer.
        """
        with unavailable():
            self.client.ping()

    def close(self) -> None:
        """Close every connection."""
        self.client.close()

    def script(self, source: str) -> Script:
        """Register a Lua script; it is sent once to each server."""
        return self.client.register_script(source)

    def name(self, kind: str, id: str) -> str:  # noqa: A002 - the contract's name
        """Return a key's name: every key of one id shares a hash tag, and none holds what was typed."""
        return f"sk:{{{self.vault.digest(id, 'expiring')[:40]}}}:{kind}"

    def put(self, kind: str, id: str, value: bytes, *, ttl: dt.timedelta) -> None:  # noqa: A002
        """Keep a value, whatever was there."""
        with unavailable():
            self.client.set(self.name(kind, id), self._sealed(kind, id, value), px=_milliseconds(ttl))

    def put_new(self, kind: str, id: str, value: bytes, *, ttl: dt.timedelta) -> bool:  # noqa: A002
        """Keep a value unless one is there; True when this call put it."""
        with unavailable():
            return bool(
                self.client.set(
                    self.name(kind, id), self._sealed(kind, id, value), px=_milliseconds(ttl), nx=True
                )
            )

    def take(self, kind: str, id: str) -> bytes | None:  # noqa: A002
        """Return the value and delete it; of several at once one gets it."""
        with unavailable():
            found = cast(bytes | None, self.client.getdel(self.name(kind, id)))
        return self._opened(kind, id, found)

    def peek(self, kind: str, id: str) -> bytes | None:  # noqa: A002
        """Return the value and leave it there."""
        with unavailable():
            found = cast(bytes | None, self.client.get(self.name(kind, id)))
        return self._opened(kind, id, found)

    def drop(self, kind: str, id: str) -> None:  # noqa: A002
        """Delete the value, if there is one."""
        with unavailable():
            self.client.delete(self.name(kind, id))

    def once(self, kind: str, token: str, *, ttl: dt.timedelta) -> bool:
        """Return True the first time within `ttl`; of several at once one gets it."""
        with unavailable():
            return bool(self.client.set(self.name(kind, token), b"", px=_milliseconds(ttl), nx=True))

    def read(self, kind: str, id: str) -> Versioned | None:  # noqa: A002
        """Return the value with the version that `swap` asks for."""
        with unavailable():
            found = cast(bytes | None, self.client.get(self.name(kind, id)))
        value = self._opened(kind, id, found)
        if value is None or found is None:
            return None
        return Versioned(value, int.from_bytes(found[:_VERSION_BYTES], "big"))

    def swap(self, kind: str, id: str, value: bytes, *, version: int) -> None:  # noqa: A002
        """Replace the value that was read; it lives no longer than before.

        Raises:
            Conflict: It was changed, taken or expired since it was read.
        """
        arguments = [version.to_bytes(_VERSION_BYTES, "big"), self._sealed(kind, id, value)]
        with unavailable():
            swapped = self._swap(keys=[self.name(kind, id)], args=arguments)
        if not swapped:
            raise Conflict

    def append(self, kind: str, id: str, value: bytes, *, keep: int, ttl: dt.timedelta) -> None:  # noqa: A002
        """Add a value to a list and forget all but the newest `keep`."""
        self.append_many([Entry(kind, id, value, keep, ttl)])

    def append_many(self, entries: Sequence[Entry]) -> None:
        """Add values to several lists in one round trip; each list changes atomically."""
        with unavailable(), self.client.pipeline(transaction=False) as pipeline:
            for entry in entries:
                name = self.name(entry.kind, entry.id)
                sealed = self.vault.seal(entry.value, _context(entry.kind, entry.id))
                arguments: list[bytes | int] = [sealed, entry.keep, _milliseconds(entry.ttl)]
                self._append(keys=[name], args=arguments, client=pipeline)
            pipeline.execute()

    def entries(self, kind: str, id: str) -> list[bytes]:  # noqa: A002
        """Return the values of a list, newest first; those with a broken seal are left out."""
        with unavailable():
            found = cast(list[bytes], self.client.lrange(self.name(kind, id), 0, -1))
        opened = [self._open(kind, id, sealed) for sealed in found]
        return [value for value in opened if value is not None]

    def _sealed(self, kind: str, id: str, value: bytes) -> bytes:  # noqa: A002
        return secrets.token_bytes(_VERSION_BYTES) + self.vault.seal(value, _context(kind, id))

    def _opened(self, kind: str, id: str, found: bytes | None) -> bytes | None:  # noqa: A002
        return None if found is None else self._open(kind, id, found[_VERSION_BYTES:])

    def _open(self, kind: str, id: str, sealed: bytes) -> bytes | None:  # noqa: A002
        try:
            return self.vault.open(sealed, _context(kind, id))
        except SealBroken:
            # Security: what we cannot have written is treated as never written; it opens nothing.
            _log.warning("a value of kind %s has a broken seal and is ignored", kind)
            return None


@contextlib.contextmanager
def unavailable() -> Iterator[None]:
    """Turn the client's errors into `StoreUnavailable`; whether a change took effect is then unknown."""
    try:
        yield
    except redis.RedisError as error:
        raise StoreUnavailable("expiring") from error


def _context(kind: str, id: str) -> str:  # noqa: A002
    return f"expiring:{kind}:{id}"


def _milliseconds(duration: dt.timedelta) -> int:
    # What is already over lives one more millisecond: the server refuses to keep it for none.
    return max(duration // dt.timedelta(milliseconds=1), 1)
