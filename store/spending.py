"""Budgets: amounts within sliding windows, several of them checked and taken in one atomic call.

`counters` remembers every hit; here a window is sixty buckets, so that a budget of a million costs no more
than one of ten. A window therefore slides in steps of a sixtieth, and never lets more through than it says.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from store.expiring import Expiring, unavailable
from store.server_clock import MILLISECOND, NOW, stamp

BUCKETS = 60

# A hash per budget: bucket number to amount. Nothing is taken unless every budget allows.
# ARGV: now in milliseconds or "" for the server's own clock; then for each key the amount, the most and the
# width of a bucket in milliseconds. Answers {wait in milliseconds, which (1, 2, …), what of each is taken by
# now}; wait and which are 0 where this was taken, too.
_TAKE = (
    NOW
    + """
local wait, which, answer = 0, 0, {0, 0}
for i, key in ipairs(KEYS) do
  local amount, most, width = tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local current, total, kept = math.floor(now / width), 0, {}
  local stored = redis.call('HGETALL', key)
  for place = 1, #stored, 2 do
    local bucket, sum = tonumber(stored[place]), tonumber(stored[place + 1])
    if bucket <= current - 61 then
      redis.call('HDEL', key, stored[place])
    else
      total = total + sum
      kept[#kept + 1] = {bucket, sum}
    end
  end
  answer[i + 2] = total
  if total + amount > most then
    table.sort(kept, function(a, b) return a[1] < b[1] end)
    local left = 61 * width
    for _, each in ipairs(kept) do
      total = total - each[2]
      if total + amount <= most then
        left = (each[1] + 61) * width - now
        break
      end
    end
    if left > wait then wait, which = math.max(left, 1), i end
  end
end
if wait == 0 then
  for i, key in ipairs(KEYS) do
    local width = tonumber(ARGV[3 * i + 1])
    redis.call('HINCRBY', key, string.format('%d', math.floor(now / width)), ARGV[3 * i - 1])
    redis.call('PEXPIRE', key, 62 * width)
    answer[i + 2] = answer[i + 2] + ARGV[3 * i - 1]
  end
end
answer[1], answer[2] = wait, which
return answer
"""
)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most so much within a window."""

    key: str
    """What it is for; kept only as a keyed digest."""
    amount: int
    """How much is to be taken now; 0 or more."""
    most: int
    window: dt.timedelta
    """Slides in steps of a sixtieth."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Whether everything was taken."""

    allowed: bool
    retry_after: dt.timedelta
    """Zero where allowed."""
    exceeded: str | None
    """The key of the budget that does not allow it for longest."""
    totals: Mapping[str, int]
    """By the budgets' keys: what was taken within each window, this included where allowed."""


class Spending:
    """Budgets on the same server as everything that expires, on one node like counters."""

    def __init__(self, expiring: Expiring) -> None:
        self._expiring = expiring
        self._take = expiring.script(_TAKE)

    def take(self, budgets: Sequence[Budget], *, now: dt.datetime | None = None) -> Spent:
        """Take from every budget, or from none where one does not allow it.

        Args:
            budgets: With different keys.
            now: Aware time; without it the server's own clock, which a fleet of gateways shares.
        """
        if not budgets:
            return Spent(allowed=True, retry_after=dt.timedelta(0), exceeded=None, totals={})
        arguments: list[str | int] = [stamp(now)]
        for budget in budgets:
            arguments += [budget.amount, budget.most, _width(budget.window)]
        with unavailable():
            wait, which, *totals = self._take(
                keys=[self._name(budget.key) for budget in budgets], args=arguments
            )
        exceeded = budgets[which - 1].key if which else None
        taken = {budget.key: total for budget, total in zip(budgets, totals, strict=True)}
        return Spent(not which, wait * MILLISECOND, exceeded, taken)

    def _name(self, key: str) -> str:
        return f"sk:{{counters}}:{self._expiring.vault.digest(key, 'budget')[:40]}"


def _width(window: dt.timedelta) -> int:
    return max(window // BUCKETS // MILLISECOND, 1)
