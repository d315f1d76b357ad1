"""The channel over Redis or Valkey streams: one stream of orders per directory, one group of agents.

Every key of a directory begins alike and shares a hash tag, so that an agent's user can be limited to them
(`redis_user`). A claim is one `SET NX`: of two agents with one order, one begins it.
"""

import contextlib
import datetime as dt
import re
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from idp_plugin.writeback.channel import (
    BEAT_LIFE,
    REDELIVERY,
    ChannelDown,
    Delivery,
    NotSent,
    ReceivedBeat,
    Withdrawal,
)
from idp_plugin.writeback.order import LIFE, SKEW

GROUP = "agents"
_BODY, _RUN_OF = b"body", b"run"
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 5.0
_LONGEST_BLOCK = dt.timedelta(seconds=1)
KEPT = LIFE + 2 * SKEW
"""Claims outlive every order that they belong to; nobody waits for an answer longer than an order lives."""
_COMMANDS = (
    *("+xreadgroup", "+xautoclaim", "+xack", "+xdel", "+xgroup|create"),
    # Of everything that INFO tells, the section with the server's run alone.
    "+info|server",
    *("+multi", "+exec", "+ping", "+auth", "+hello"),
)

# A server that was started anew may have lost its last second of claims and withdrawals (append-only file
# with `everysec`, a fail-over): an order counts only in the life of the server in which it was sent.
_RUN = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')"
_SEND = f"""{_RUN}
redis.call('SET', KEYS[2], '', 'PX', ARGV[3])
return redis.call('XADD', KEYS[1], 'MINID', '=', ARGV[2], '*', 'body', ARGV[1], 'run', run)
"""
_WITHDRAW = f"""{_RUN}
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
if #found == 0 or found[1][2][4] ~= run then return 2 end
if redis.call('SET', KEYS[2], 'withdrawn', 'NX', 'PX', ARGV[2]) then return 0 end
return 1
"""


def key_prefix(directory: str) -> str:
    """Return what every key of a directory's channel begins with.

    Raises:
        ValueError: A name that could mean other keys too in a pattern.
    """
    # Security: the name becomes part of an ACL pattern.
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", directory):
        raise ValueError(directory)
    return f"{{sparekey:writeback:{directory}}}:"


def redis_user(name: str, directory: str, password: str) -> str:
    """Return the `ACL SETUSER` line of an agent's user: this directory's keys, and what the agent does.

    Args:
        name: Without spaces.
        directory: As in the gateway's settings.
        password: Without spaces; empty for a fresh one.
    """
    secret = password or secrets.token_urlsafe(32)
    keys = key_prefix(directory)
    rules = ("reset", "on", f">{secret}", "resetchannels", "-@all", f"~{keys}orders", *_COMMANDS)
    # Security: `SET … GET` would read what other agents wrote, and `SET` on the orders would end them.
    claims_and_beats = f"(+set %W~{keys}claim:* %W~{keys}beat:*)"
    answers = f"(+lpush +pexpire %W~{keys}answer:*)"
    return " ".join(("ACL", "SETUSER", name, *rules, claims_and_beats, answers))


class _Streams:
    """What both ends share."""

    def __init__(self, url: str, directory: str, *, ca: str = "") -> None:
        self._prefix = key_prefix(directory)
        secure: dict[str, Any] = {"ssl_ca_certs": ca} if ca else {}
        self._client = redis.Redis.from_url(
            url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            # Security: a command whose answer was lost is never sent again by the library.
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
            **secure,
        )

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)

    @property
    def _orders(self) -> str:
        return self._key("orders")

    def close(self) -> None:
        """Close connections."""
        self._client.close()
        self._client.connection_pool.disconnect()


class StreamAgentEnd(_Streams):
    """An `AgentEnd` over streams."""

    def __init__(
        self,
        url: str,
        directory: str,
        agent: str,
        *,
        ca: str = "",
        redelivery: dt.timedelta = REDELIVERY,
    ) -> None:
        """Connect lazily.

        Args:
            url: `rediss://user:password@host:6379`, or `redis://` and `unix://` on the same host.
            directory: As in the gateway's settings.
            agent: This agent's id.
            ca: CA file for `rediss`.
            redelivery: How long another agent may be silent about an order.
        """
        super().__init__(url, directory, ca=ca)
        self._agent = agent
        self._redelivery = redelivery
        self._looked_at = 0.0
        self._lock = threading.Lock()

    def receive(self, wait: dt.timedelta) -> Delivery | None:
        """Return a new order, or one that another agent left without an answer."""
        end = time.monotonic() + wait.total_seconds()
        while True:
            left = dt.timedelta(seconds=max(end - time.monotonic(), 0))
            with self._group():
                found = self._abandoned() or self._new(min(left, _LONGEST_BLOCK))
                if found is not None:
                    return found
            if time.monotonic() >= end:
                return None

    def claim(self, delivery: Delivery, order_id: str) -> bool:
        """Begin an order unless somebody did, or the server was started anew since it was sent."""
        with down(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.info("server")
            pipeline.set(self._key("claim", order_id), self._agent, nx=True, px=KEPT)
            server, claimed = pipeline.execute()
        return bool(claimed) and server["run_id"] == delivery.run

    def answer(self, delivery: Delivery, order_id: str, body: bytes) -> None:
        """Send the answer and remove the order, in one transaction."""
        key = self._key("answer", order_id)
        with down(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.lpush(key, body)
            pipeline.pexpire(key, LIFE)
            pipeline.xack(self._orders, GROUP, delivery.id)
            pipeline.xdel(self._orders, delivery.id)
            pipeline.execute()

    def drop(self, delivery: Delivery) -> None:
        """Remove an order without an answer."""
        with down(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.xack(self._orders, GROUP, delivery.id)
            pipeline.xdel(self._orders, delivery.id)
            pipeline.execute()

    def beat(self, body: bytes) -> None:
        """Leave a heartbeat that vanishes unless the next one follows."""
        with down():
            self._client.set(self._key("beat", self._agent), body, px=BEAT_LIFE)

    def _abandoned(self) -> Delivery | None:
        with self._lock:
            if time.monotonic() - self._looked_at < self._redelivery.total_seconds() / 3:
                return None
            self._looked_at = time.monotonic()
        idle = round(self._redelivery.total_seconds() * 1000)
        found = self._client.xautoclaim(self._orders, GROUP, self._agent, idle, "0-0", count=1)
        return _delivery(found[1])

    def _new(self, wait: dt.timedelta) -> Delivery | None:
        block = max(round(wait.total_seconds() * 1000), 1)
        found = self._client.xreadgroup(GROUP, self._agent, {self._orders: ">"}, count=1, block=block)
        streams = list(found.values()) if isinstance(found, dict) else [each[1] for each in found or ()]
        return _delivery(_flat(streams[0])) if streams else None

    @contextlib.contextmanager
    def _group(self) -> Iterator[None]:
        """Make the group where it does not exist, or no longer; then it is asked again."""
        with down():
            try:
                yield
            except redis.ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                self._make_group()

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(self._orders, GROUP, id="0", mkstream=True)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


class StreamGatewayEnd(_Streams):
    """A `GatewayEnd` over streams, of one directory."""

    def __init__(self, url: str, directory: str) -> None:
        super().__init__(url, directory)
        self._send = self._client.register_script(_SEND)
        self._withdraw = self._client.register_script(_WITHDRAW)

    def send(self, order_id: str, body: bytes) -> str:
        """Add the order, and let go of whatever is too old to be begun; agents let go of it sooner."""
        too_old = round((time.time() - KEPT.total_seconds()) * 1000)
        try:
            with down():
                added = self._send(
                    keys=[self._orders, self._key("awaited", order_id)],
                    args=[body, f"{too_old}-0", round(LIFE.total_seconds() * 1000)],
                )
        except ChannelDown as error:
            # The order is the last that the script adds: where the server says no, it is not there.
            if isinstance(error.__cause__, redis.ResponseError | redis.AuthenticationError):
                raise NotSent from error
            raise
        return cast(bytes, added).decode()

    def answer(self, order_id: str, wait: dt.timedelta) -> bytes | None:
        """Wait for an answer."""
        seconds = min(max(wait.total_seconds(), 0.01), _ANSWER_SECONDS - 1)
        with down():
            found = self._client.blpop([self._key("answer", order_id)], timeout=seconds)
        return cast(tuple[bytes, bytes], found)[1] if found else None

    def withdraw(self, order_id: str, delivery: str) -> Withdrawal:
        """Claim the order for nobody, if it is there and nobody has it."""
        keys = [self._orders, self._key("claim", order_id)]
        with down():
            answer = self._withdraw(keys=keys, args=[delivery, round(KEPT.total_seconds() * 1000)])
        return (Withdrawal.WITHDRAWN, Withdrawal.BEGUN, Withdrawal.UNSURE)[cast(int, answer)]

    def forget(self, order_id: str, delivery: str) -> None:
        """Remove the order and late answers; the claim stays until it ends by itself."""
        with down(), self._client.pipeline(transaction=True) as pipeline:
            pipeline.xdel(self._orders, delivery)
            pipeline.delete(self._key("answer", order_id), self._key("awaited", order_id))
            pipeline.execute()

    def beats(self, agents: Iterable[str]) -> Mapping[str, ReceivedBeat]:
        """Read every heartbeat in one round trip."""
        names = tuple(agents)
        with down(), self._client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.get(self._key("beat", name))
                pipeline.pttl(self._key("beat", name))
            found = pipeline.execute()
        return {
            name: ReceivedBeat(body, BEAT_LIFE - dt.timedelta(milliseconds=max(left, 0)))
            for name, body, left in zip(names, found[::2], found[1::2], strict=True)
            if body is not None
        }


def _flat(found: Any) -> Any:
    # The two protocol versions of Redis nest what a stream returns differently.
    return found[0] if found and isinstance(found[0], list) else found


def _delivery(found: Any) -> Delivery | None:
    for number, fields in found or ():
        if fields:
            return Delivery(number.decode(), fields.get(_BODY, b""), fields.get(_RUN_OF, b"").decode())
    return None


@contextlib.contextmanager
def down() -> Iterator[None]:
    """Turn the library's errors into `ChannelDown`."""
    try:
        yield
    except redis.RedisError as error:
        raise ChannelDown from error
