"""Counters: sliding windows, several limits checked and counted in one atomic call."""

import datetime as dt
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import cast

from store.expiring import Expiring, unavailable
from store.server_clock import MILLISECOND, NOW, stamp

# A sorted set per limit: one member per hit, its time in milliseconds as score; the member `lock` has the
# end of a lock as score. Nothing is counted unless every limit allows. Answers {longest wait in milliseconds,
# which limit asks for it (1, 2, …), how many more the tightest allows}, or {0, 0, how many more}.
# KEYS: those of the limits, then those that raise some of them.
# ARGV: now in milliseconds or "" for the server's own clock; a nonce, or "" to count nothing; then for each
# limit how many, the window and the lock in milliseconds, and which key raises it, or 0.
_HIT = (
    NOW
    + """
local wait, which, fewest, limits = 0, 0, math.huge, (#ARGV - 2) / 4
for i = 1, limits do
  local key, raised = KEYS[i], tonumber(ARGV[4 * i + 2])
  local most, window, lock = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i]), tonumber(ARGV[4 * i + 1])
  if raised > 0 then most = most + redis.call('ZCOUNT', KEYS[raised], '(' .. (now - window), '+inf') end
  local left, locked = 0, tonumber(redis.call('ZSCORE', key, 'lock') or '0')
  if locked > now then
    left = locked - now
  else
    redis.call('ZREM', key, 'lock')
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - window)
    local count = redis.call('ZCARD', key)
    fewest = math.min(fewest, math.max(most - count - (ARGV[2] ~= '' and 1 or 0), 0))
    if count >= most then
      local oldest = redis.call('ZRANGE', key, count - most, count - most, 'WITHSCORES')
      left = math.max(tonumber(oldest[2]) + window - now, 1)
      if lock > left and ARGV[2] ~= '' then
        left = lock
        redis.call('ZADD', key, now + lock, 'lock')
        redis.call('PEXPIRE', key, math.max(lock, window))
      end
    end
  end
  if left > wait then wait, which = left, i end
end
if wait == 0 and ARGV[2] ~= '' then
  for i = 1, limits do
    redis.call('ZADD', KEYS[i], now, ARGV[2] .. i)
    redis.call('PEXPIRE', KEYS[i], ARGV[4 * i])
  end
end
return {wait, which, wait == 0 and fewest or 0}
"""
)

_COUNT = (
    NOW
    + """
local oldest = now - tonumber(ARGV[2])
local lock = tonumber(redis.call('ZSCORE', KEYS[1], 'lock') or oldest)
return redis.call('ZCOUNT', KEYS[1], '(' .. oldest, '+inf') - (lock > oldest and 1 or 0)
"""
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many within a window that slides."""

    key: str
    """What is counted, for example `reset:typed:<text>`; kept only as a keyed digest."""
    most: int
    """At least 1."""
    window: dt.timedelta
    lock: dt.timedelta = dt.timedelta(0)
    """From the first refusal on, nothing is allowed for so long; zero where the window alone decides."""
    raised_by: str = ""
    """Another key, each of whose hits within the window allows one more; empty where none does."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether every limit allows."""

    allowed: bool
    retry_after: dt.timedelta
    """The longest wait among the limits that are reached; zero where allowed."""
    exceeded: str | None
    """The key of the limit that asks for that wait."""
    left: int = field(default=0, compare=False)
    """How many more the tightest limit would allow from now on."""


class Counters:
    """Counters on the same server as everything that expires.

    All of them share one hash tag, so that limits of different keys can be counted in one call; in a
    Redis Cluster they live on one node.
    """

    def __init__(self, expiring: Expiring) -> None:
        self._expiring = expiring
        self._hit = expiring.script(_HIT)
        self._count = expiring.script(_COUNT)

    def hit(self, limits: Sequence[Limit], *, now: dt.datetime | None = None) -> Verdict:
        """Count one hit against every limit, or against none when any is reached.

        Args:
            limits: With different keys.
            now: Aware time; without it the server's own clock, which a fleet of gateways shares.
        """
        return self._ask(limits, secrets.token_hex(8), now)

    def peek(self, limits: Sequence[Limit], *, now: dt.datetime | None = None) -> Verdict:
        """Tell what `hit` would say, and count nothing."""
        return self._ask(limits, "", now)

    def count(self, key: str, window: dt.timedelta, *, now: dt.datetime | None = None) -> int:
        """Return how often a key was hit within a window no longer than its limit's."""
        with unavailable():
            return cast(int, self._count(keys=[self._name(key)], args=[stamp(now), window // MILLISECOND]))

    def forget(self, keys: Collection[str]) -> None:
        """Start again from nothing."""
        if keys:
            with unavailable():
                self._expiring.client.delete(*(self._name(key) for key in keys))

    def _ask(self, limits: Sequence[Limit], nonce: str, now: dt.datetime | None) -> Verdict:
        if not limits:
            return Verdict(allowed=True, retry_after=dt.timedelta(0), exceeded=None)
        keys = [limit.key for limit in limits]
        arguments: list[str | int] = [stamp(now), nonce]
        for limit in limits:
            arguments += [limit.most, limit.window // MILLISECOND, limit.lock // MILLISECOND]
            keys += [limit.raised_by] if limit.raised_by else []
            arguments.append(len(keys) if limit.raised_by else 0)
        with unavailable():
            wait, which, left = self._hit(keys=[self._name(key) for key in keys], args=arguments)
        exceeded = limits[which - 1].key if which else None
        return Verdict(not which, wait * MILLISECOND, exceeded, left)

    def _name(self, key: str) -> str:
        return f"sk:{{counters}}:{self._expiring.vault.digest(key, 'counter')[:40]}"
