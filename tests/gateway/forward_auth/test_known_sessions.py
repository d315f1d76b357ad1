"""What is remembered of sessions, while they are ended at the worst moment."""

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gateway.ended_sessions import EndedSessions
from gateway.forward_auth.application_session import ApplicationSession, ApplicationSessions
from gateway.forward_auth.known_sessions import WAITING, KnownSessions, stated_revision
from idp_plugin.base import Subject
from store.expiring import Expiring
from store.vault import Vault
from tests.gateway.plane.stage import on_a_loop
from tests.servers.valkey import Valkey

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
BOB = Subject("https://sso.example.org", "bob")
HOST = "wiki.example.org"
SESSION = ApplicationSession(
    host=HOST,
    subject=BOB,
    idp_session="sid",
    username="bob",
    display_name="",
    email="",
    groups=frozenset(),
    signed_in_at=NOW,
    expires_at=NOW + dt.timedelta(hours=1),
)


class Remembering:
    """What the gateway remembers, with what it is read from."""

    def __init__(self, expiring: Expiring, executor: ThreadPoolExecutor) -> None:
        self.expiring, self.executor = expiring, executor
        self.ended = EndedSessions(expiring)
        self.sessions = ApplicationSessions(expiring, self.ended)

    def known(self, delay: float = 0, sessions: ApplicationSessions | None = None) -> KnownSessions:
        return KnownSessions(
            sessions or self.sessions,
            self.ended,
            executor=self.executor,
            clock=lambda: NOW,
            delay=dt.timedelta(seconds=delay),
        )


@pytest.fixture
def remembering(valkey: Valkey) -> Iterator[Remembering]:
    expiring = Expiring(valkey.url, Vault([bytes(32)]))
    with ThreadPoolExecutor(4) as executor:
        yield Remembering(expiring, executor)
    expiring.close()


@on_a_loop
async def test_where_every_request_asks_the_end_is_known_at_once(remembering: Remembering) -> None:
    known, token = remembering.known(), remembering.sessions.start(SESSION, now=NOW)
    assert await known.find(token, HOST)
    assert known.recall(token, HOST) is None
    remembering.ended.end_subject(BOB, now=NOW)
    assert await known.find(token, HOST) is None


@pytest.mark.parametrize(
    "end",
    [
        lambda ended: ended.end_subject(BOB, now=NOW),
        lambda ended: ended.end_idp_session(BOB.source, "sid", now=NOW),
        lambda ended: ended.sign_out(BOB, "sid", now=NOW),
        lambda ended: ended.sign_out(BOB, "", now=NOW),
    ],
)
def test_each_kind_of_end_ends_what_is_remembered(
    remembering: Remembering, end: Callable[[EndedSessions], None]
) -> None:
    @on_a_loop
    async def story() -> None:
        known, token = remembering.known(), remembering.sessions.start(SESSION, now=NOW)
        assert await known.find(token, HOST)
        end(remembering.ended)
        assert await known.find(token, HOST) is None

    story()


@on_a_loop
async def test_a_session_that_was_forgotten_opens_nothing(remembering: Remembering) -> None:
    known, token = remembering.known(), remembering.sessions.start(SESSION, now=NOW)
    assert await known.find(token, HOST)
    remembering.sessions.end(token)
    assert await known.find(token, HOST) is None


@on_a_loop
async def test_whoever_signed_in_afterwards_goes_on(remembering: Remembering) -> None:
    known = remembering.known()
    remembering.ended.end_subject(BOB, now=NOW - dt.timedelta(seconds=1))
    assert await known.find(remembering.sessions.start(SESSION, now=NOW), HOST)


@on_a_loop
async def test_what_is_remembered_is_asked_for_again_until_it_is_told_otherwise(
    remembering: Remembering,
) -> None:
    known, token = remembering.known(0.5), remembering.sessions.start(SESSION, now=NOW)
    known.start()
    assert await known.find(token, HOST)
    await until(lambda: known.recall(token, HOST))
    remembering.ended.end_subject(BOB, now=NOW)
    await until(lambda: not known.recall(token, HOST))
    assert await known.find(token, HOST) is None
    known.stop()


@on_a_loop
async def test_without_news_nobody_is_believed_for_longer_than_was_said(remembering: Remembering) -> None:
    known, token = remembering.known(0.2), remembering.sessions.start(SESSION, now=NOW)
    assert await known.find(token, HOST)
    # Nobody asks again here: what was learnt gets old.
    await asyncio.sleep(0.2)
    assert known.recall(token, HOST) is None


async def until(holds: Callable[[], object]) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)


class EndedWhileRead(ApplicationSessions):
    """Sessions that are ended in the moment in which one was read."""

    def __init__(self, remembering: Remembering, then: Callable[[], Any]) -> None:
        super().__init__(remembering.expiring, remembering.ended)
        self._then = then

    def read(self, token: str, host: str, *, now: dt.datetime) -> ApplicationSession | None:
        found = super().read(token, host, now=now)
        if found:
            self._ended.end_subject(BOB, now=NOW)
            self._then()
        return found


@pytest.mark.parametrize("is_learnt_meanwhile", [False, True])
def test_a_session_that_ends_while_it_is_read_is_not_remembered(
    remembering: Remembering, *, is_learnt_meanwhile: bool
) -> None:
    @on_a_loop
    async def story() -> None:
        loop = asyncio.get_running_loop()

        def learn() -> None:
            if is_learnt_meanwhile:
                asyncio.run_coroutine_threadsafe(known._learn_revision(), loop).result(20)

        known = remembering.known(60, EndedWhileRead(remembering, learn))
        token = remembering.sessions.start(SESSION, now=NOW)
        # It was good when it was asked for; whoever remembers that hears of which revision it is.
        found, now = await known.find(token, HOST), remembering.ended.revision()
        assert found
        assert f"X-Sparekey-Revision: {stated_revision(0)}\r\n".encode() in found.fields
        assert now != 0
        await known._learn_revision()
        assert known.recall(token, HOST) is None
        assert await known.find(token, HOST) is None

    story()


@on_a_loop
async def test_requests_that_come_together_look_up_once(remembering: Remembering) -> None:
    reads: list[str] = []

    class Counting(ApplicationSessions):
        def read(self, token: str, host: str, *, now: dt.datetime) -> ApplicationSession | None:
            reads.append(token)
            return super().read(token, host, now=now)

    known = remembering.known(0, Counting(remembering.expiring, remembering.ended))
    token = remembering.sessions.start(SESSION, now=NOW)
    found = await asyncio.gather(*(known.find(token, HOST) for _request in range(50)))
    assert all(found)
    assert len(reads) == 1


@on_a_loop
async def test_a_flood_of_invented_sessions_asks_nobody_and_keeps_nobody_out(
    remembering: Remembering,
) -> None:
    token = remembering.sessions.start(SESSION, now=NOW)
    chosen, _, mark = token.partition(".")
    answers_again = threading.Event()
    with ThreadPoolExecutor(1) as busy:
        busy.submit(answers_again.wait)
        known = KnownSessions(
            remembering.sessions,
            remembering.ended,
            executor=busy,
            clock=lambda: NOW,
            delay=dt.timedelta(0),
        )
        waiting = asyncio.ensure_future(known.find(token, HOST))
        await asyncio.sleep(0)
        for number in range(WAITING + 1):
            assert await known.find(f"invented-{number}.{mark}", HOST) is None
        for invented in (chosen, f"{chosen}.", f"{chosen}.{mark[:-1]}", f"{token}.{mark}", "\xe9.\xe9", ""):
            assert await known.find(invented, HOST) is None
        assert await known.find(token, "notes.example.org") is None
        assert not waiting.done()
        answers_again.set()
        assert await waiting
