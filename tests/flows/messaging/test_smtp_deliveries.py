"""What becomes of mail at a server that greylists or knows no such mailbox: the queue, on real SMTP."""

import datetime as dt

import pytest

from flows.messaging.deliveries import State, deliveries
from flows.messaging.smtp_relay import SmtpRelay
from flows.settings import MailSettings
from tests.flows.world import World, private
from tests.servers.smtp import SmtpSink

NEW = "correct horse battery"
BOB = private("bob")


@pytest.fixture
def mailed(world: World, smtp_sink: SmtpSink, monkeypatch: pytest.MonkeyPatch) -> World:
    """Bob, whose mail leaves for a real server."""
    settings = {
        "host": "localhost",
        "port": smtp_sink.port,
        "ca": str(smtp_sink.ca),
        "sender": "a@example.org",
    }
    relay = SmtpRelay(MailSettings.model_validate(settings), world.clock)
    monkeypatch.setattr(world.outbox, "send", relay.send)
    world.a_person("bob", registered=("email",))
    return world


def states(world: World) -> list[tuple[str, State, int]]:
    with world.database.reading() as transaction:
        events = transaction.audit.find(person_id=world.person_id("bob"))
    return [(each.kind, each.state, each.tries) for each in deliveries(events)]


def after(world: World, seconds: int) -> int:
    """Run what is due then; return how many jobs that were."""
    return world.jobs.drain(now=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds))


def test_a_greylisting_server_is_asked_again_and_takes_the_code(mailed: World, smtp_sink: SmtpSink) -> None:
    smtp_sink.greylists = True
    attempt = mailed.send(mailed.start("bob"))
    mailed.drain()
    assert states(mailed) == [("reset_code", State.WAITING, 1)]
    assert after(mailed, 10) == 0
    assert after(mailed, 25) == 1
    assert states(mailed) == [("reset_code", State.SENT, 1)]
    (received,) = smtp_sink.wait()
    code = next(line for line in received.text.splitlines() if line.isdigit())
    assert mailed.verify(attempt, code).proofs


def test_every_further_wait_is_longer(mailed: World, smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse = "451 4.3.0 Not now"
    mailed.send(mailed.start("bob"))
    mailed.drain()
    for earlier, later in ((10, 25), (30, 45), (70, 85)):
        assert after(mailed, earlier) == 0
        assert after(mailed, later) == 1
    assert states(mailed) == [("reset_code", State.WAITING, 4)]


def test_a_mailbox_that_does_not_exist_is_refused_once(mailed: World, smtp_sink: SmtpSink) -> None:
    smtp_sink.unknown.add(BOB)
    mailed.send(mailed.start("bob"))
    mailed.drain()
    assert states(mailed) == [("reset_code", State.REFUSED, 0)]
    assert after(mailed, 3600) == 0
    assert smtp_sink.asked == [BOB]


def test_one_dead_mailbox_keeps_no_notice_from_the_others(mailed: World, smtp_sink: SmtpSink) -> None:
    proved = mailed.verify(mailed.send(mailed.start("bob")), _code(mailed, smtp_sink))
    smtp_sink.unknown.add(BOB)
    mailed.set_password(proved, NEW)
    mailed.drain()
    told = smtp_sink.wait(2)[-1]
    assert told.recipients == ("bob@example.org",)
    notices = [state for kind, state, _tries in states(mailed) if kind == "notice"]
    assert sorted(notices) == [State.REFUSED, State.SENT]


def _code(world: World, sink: SmtpSink) -> str:
    world.drain()
    (received,) = sink.wait()
    return next(line for line in received.text.splitlines() if line.isdigit())
