"""What an agent's own Redis user may do: its directory's streams, and nothing of the gateway's (S20)."""

import datetime as dt
import re
import shlex
from collections.abc import Iterator

import pytest
import redis
from redis.exceptions import NoPermissionError

from idp_plugin.writeback.order import new_id
from idp_plugin.writeback.streams import StreamAgentEnd, StreamGatewayEnd, key_prefix, redis_user
from tests.servers.valkey import Valkey

PASSWORD = "of-this-agent-alone"


@pytest.fixture
def url(valkey: Valkey) -> Iterator[str]:
    """The address as the agent's user."""
    valkey.client.execute_command(*shlex.split(redis_user("agent-1", "corp", PASSWORD)))
    yield f"unix://agent-1@{valkey.socket}?password={PASSWORD}"
    valkey.client.acl_deluser("agent-1")


@pytest.fixture
def user(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url) as client:
        yield client


def test_everything_that_an_agent_does_is_allowed(url: str, valkey: Valkey) -> None:
    agent = StreamAgentEnd(url, "corp", "one", redelivery=dt.timedelta(seconds=0.1))
    gateway = StreamGatewayEnd(valkey.url, "corp")
    order, other = new_id(), new_id()
    gateway.send(order, b"body")
    delivery = agent.receive(dt.timedelta(seconds=5))
    assert delivery is not None
    assert agent.claim(delivery, order)
    agent.answer(delivery, order, b"answer")
    assert gateway.answer(order, dt.timedelta(seconds=5)) == b"answer"
    gateway.send(other, b"body")
    dropped = agent.receive(dt.timedelta(seconds=5))
    assert dropped is not None
    agent.drop(dropped)
    agent.beat(b"beat")
    assert gateway.beats(["one"])["one"].body == b"beat"
    agent.close()
    gateway.close()


REFUSED = (
    ("GET", "sk:{0123}:attempt"),
    ("SET", "sk:{0123}:attempt", "forged"),
    ("LPUSH", "huey.redis.sparekey", "forged"),
    ("SET", f"{key_prefix('other')}claim:x", "me"),
    ("XREADGROUP", "GROUP", "agents", "me", "STREAMS", f"{key_prefix('other')}orders", ">"),
    ("XADD", f"{key_prefix('corp')}orders", "*", "body", "an order of its own"),
    ("XRANGE", f"{key_prefix('corp')}orders", "-", "+"),
    ("GET", f"{key_prefix('corp')}beat:another"),
    ("DEL", f"{key_prefix('corp')}orders"),
    ("SET", f"{key_prefix('corp')}orders", "no stream any more"),
    ("SET", f"{key_prefix('corp')}beat:another", "x", "GET"),
    ("PEXPIRE", f"{key_prefix('corp')}orders", "1"),
    ("LPUSH", f"{key_prefix('corp')}else", "x"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("FLUSHALL",),
    ("CONFIG", "GET", "*"),
    ("EVAL", "return 1", "0"),
    ("ACL", "LIST"),
    ("MONITOR",),
    ("INFO",),
    ("INFO", "clients"),
    ("INFO", "everything"),
    ("CLIENT", "LIST"),
    ("SUBSCRIBE", "huey"),
    ("PUBLISH", "huey", "x"),
    ("SHUTDOWN",),
)


def test_nothing_else_is(user: redis.Redis, valkey: Valkey) -> None:
    valkey.client.set("sk:{0123}:attempt", b"sealed")
    valkey.client.xgroup_create(f"{key_prefix('other')}orders", "agents", mkstream=True)
    allowed = []
    for command in REFUSED:
        try:
            user.execute_command(*command)
        except NoPermissionError:
            continue
        allowed.append(command)
    assert allowed == []


def test_a_directory_whose_name_is_a_pattern_gets_no_user() -> None:
    for name in ("*", "a*", "[a-z]", "corp other", "a" * 65, "cor?", "corp}"):
        with pytest.raises(ValueError, match=re.escape(name)):
            redis_user("agent", name, "password")


def test_a_fresh_password_is_long_and_new() -> None:
    lines = {redis_user("agent", "corp", "") for _ in range(3)}
    assert len(lines) == 3
    assert all(len(line.split(">")[1].split()[0]) >= 40 for line in lines)
