"""An agent's end of the streams as the gateway lends it to agents that call over HTTPS.

An agent in the wrong hands can stop its own directory's writeback. It must not fill the Redis that sign-ins
need as well: it leaves claims and answers for orders that were sent and are waited for, few of each, and none
of any size.
"""

from idp_plugin.writeback.channel import Delivery
from idp_plugin.writeback.order import LIFE
from idp_plugin.writeback.streams import GROUP, KEPT, StreamAgentEnd, down

MOST_ANSWERS = 4
"""To one order; more than one only where agents disagree about whose turn it is."""
LARGEST_ANSWER = 64 << 10
LARGEST_BEAT = 16 << 10

_CLAIM = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if not redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
return run == ARGV[3] and 1 or 0
"""
_ANSWER = f"""
redis.call('XACK', KEYS[3], '{GROUP}', ARGV[3])
redis.call('XDEL', KEYS[3], ARGV[3])
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('LLEN', KEYS[2]) >= tonumber(ARGV[4]) then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1
"""


class TooLarge(Exception):
    """An agent sent more than any agent has to say."""


class GuardedAgentEnd(StreamAgentEnd):
    """A `StreamAgentEnd` for an agent that nobody has to trust."""

    def claim(self, delivery: Delivery, order_id: str) -> bool:
        """Begin an order that is waited for, unless somebody did; see `StreamAgentEnd`."""
        keys = [self._key("awaited", order_id), self._key("claim", order_id)]
        life = round(KEPT.total_seconds() * 1000)
        with down():
            return bool(self._client.eval(_CLAIM, 2, *keys, self._agent, life, delivery.run))

    def answer(self, delivery: Delivery, order_id: str, body: bytes) -> None:
        """Send the answer where it is waited for, and remove the order in any case."""
        if len(body) > LARGEST_ANSWER:
            raise TooLarge
        keys = [self._key("awaited", order_id), self._key("answer", order_id), self._orders]
        life = round(LIFE.total_seconds() * 1000)
        with down():
            self._client.eval(_ANSWER, 3, *keys, body, life, delivery.id, MOST_ANSWERS)

    def beat(self, body: bytes) -> None:
        """Leave a heartbeat; see `StreamAgentEnd`."""
        if len(body) > LARGEST_BEAT:
            raise TooLarge
        super().beat(body)
