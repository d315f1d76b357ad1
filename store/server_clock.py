"""The clock of windows: the server's own, which a fleet of gateways shares, or a time that is given."""

import datetime as dt

MILLISECOND = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

# Begins a script: `now` in milliseconds, from what `stamp` put into ARGV[1].
NOW = """
local now = tonumber(ARGV[1])
if not now then
  local clock = redis.call('TIME')
  now = clock[1] * 1000 + math.floor(clock[2] / 1000)
end
"""


def stamp(now: dt.datetime | None) -> str | int:
    """Return what a script takes for a time; without one the server reads its own clock."""
    return "" if now is None else (now - _EPOCH) // MILLISECOND
