"""After a full run, no log line, row or stored value holds what only people may know."""

import contextlib
import logging
import sqlite3
from pathlib import Path

import pytest
import redis
import structlog
from structlog.testing import capture_logs

from flows.authenticators import totp
from flows.errors import FlowError, MessageNotSent
from idp_plugin.errors import IdpMisconfigured, OutcomeUnknown
from tests.flows.test_registration import MINE, bind_app, bind_email, prove
from tests.flows.world import World, code_in, policy, private, wrong
from tests.servers.valkey import Valkey

PASSWORDS = ("a password that was refused", "a password that was lost", "a password that was written")
IDENTIFIERS = ("carol", "somebody who does not exist", "carol@example.org")


def a_full_run(world: World) -> set[str]:
    """Walk every journey, with every kind of mishap; returns what must not be found anywhere."""
    world.a_person("carol", registered=("email", "totp"))
    secrets = {*PASSWORDS, "browser-a", "portal-session", private("carol"), MINE, *IDENTIFIERS[1:]}
    decoy = world.send(world.start(IDENTIFIERS[1]))
    with contextlib.suppress(FlowError):
        world.verify(decoy, "987654")
    world.outbox.fail = MessageNotSent()
    attempt = world.start(IDENTIFIERS[2])
    world.send(attempt)
    world.drain()
    world.outbox.fail = None
    world.drain_later()
    with contextlib.suppress(FlowError):
        world.verify(attempt, wrong(code_in(world.outbox.messages[-1])))
    attempt = world.verify(attempt, world.code_for("carol"))
    world.send(attempt, "totp")
    secrets.add(world.app_code("carol"))
    attempt = world.verify(attempt, world.app_code("carol"))
    for password, fault in zip(PASSWORDS, (IdpMisconfigured("bind"), OutcomeUnknown("ldap")), strict=False):
        world.directory.refuse = fault
        with contextlib.suppress(FlowError):
            world.set_password(attempt, password)
    world.directory.refuse = None
    world.clock.forward(minutes=20)
    again = world.proved("carol")
    again = world.verify(world.send(again, "totp"), world.app_code("carol"))
    world.set_password(again, PASSWORDS[2])
    world.directory.down = True
    world.send(world.start("bob"))
    world.drain()
    world.directory.down = False
    prove(world, "carol")
    bind_email(world, "carol", MINE)
    bind_app(world, "carol")
    world.drain_later()
    secrets |= {each.id for each in (decoy, attempt, again)}
    secrets |= {code_in(each) for each in world.outbox.messages if "code" in each.subject}
    secrets |= {totp.base32(each.secret) for each in world.authenticators("carol") if each.kind == "totp"}
    lines = [line for each in world.outbox.messages for line in each.text.splitlines()]
    links = [line for line in lines if "/not-me/" in line or "/here/" in line]
    return secrets | {link.rpartition("/")[2] for link in links}


def rows_of(database: Path) -> bytes:
    """Every value of every row, blobs included."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        rows = [row for table in tables for row in connection.execute(f'SELECT * FROM "{table}"')]
    values = [value for row in rows for value in row]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def values_in(server: "redis.Redis") -> bytes:
    readers = {
        b"string": server.get,
        b"list": lambda key: b"\n".join(server.lrange(key, 0, -1)),
        b"zset": lambda key: b"\n".join(server.zrange(key, 0, -1)),
        b"hash": lambda key: b"\n".join(b"\n".join(pair) for pair in server.hgetall(key).items()),
    }
    return b"\n".join(key + b"\n" + readers[server.type(key)](key) for key in server.keys("*"))


@pytest.fixture
def plain_logs(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    with capture_logs() as lines:
        yield lambda: "\n".join([*(str(line) for line in lines), caplog.text])
    structlog.reset_defaults()


def test_no_secret_is_in_any_log_row_or_stored_value(
    make_world, valkey: Valkey, tmp_path: Path, plain_logs
) -> None:
    world = make_world(document=policy(register=2, reset=2))
    secrets = a_full_run(world)
    assert len(secrets) > 15
    places = {
        "logs": plain_logs().encode(),
        "rows": rows_of(tmp_path / "sparekey.db"),
        "values": values_in(valkey.client),
    }
    assert b"last_step_not_done" in places["logs"]
    assert b"reset:password:written" in places["rows"]
    found = {
        (where, secret) for where, text in places.items() for secret in secrets if secret.encode() in text
    }
    assert found == set()


def test_nothing_that_is_passed_around_shows_a_secret_when_it_is_printed(world: World) -> None:
    world.a_person("bob", registered=("email",))
    attempt = world.send(world.start("bob"))
    pending = world.recovery.registration.begin(world.member("bob"), "totp", now=world.now, lost=True)
    printed = repr((world.read(attempt), pending, world.member("bob"), world.authenticators("bob")))
    for secret in (
        attempt.id,
        attempt.browser,
        pending.shown.secret_base32,
        "portal-session",
        private("bob"),
    ):
        assert secret not in printed
