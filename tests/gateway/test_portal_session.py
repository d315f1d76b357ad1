import datetime as dt
from collections.abc import Iterator

import pytest

from gateway.portal_session import LIFETIME, PortalSession, PortalSessions
from idp_plugin.base import Subject
from store.expiring import Expiring
from store.vault import Vault
from tests.servers.valkey import Valkey

NOW = dt.datetime.now(dt.UTC)
ALICE = Subject("https://sso.example.org", "alice")


@pytest.fixture
def sessions(valkey: Valkey) -> Iterator[PortalSessions]:
    expiring = Expiring(valkey.url, Vault([bytes(32)]))
    yield PortalSessions(expiring)
    expiring.close()


def session(
    idp_session: str = "sid-1", subject: Subject = ALICE, started_at: dt.datetime = NOW
) -> PortalSession:
    return PortalSession(
        id="portal-1",
        subject=subject,
        idp_session=idp_session,
        groups=frozenset({"staff"}),
        started_at=started_at,
        expires_at=started_at + LIFETIME,
    )


def test_a_session_is_found_by_its_token_alone(sessions: PortalSessions, valkey: Valkey) -> None:
    token = sessions.start(session())
    assert sessions.read(token, now=NOW) == session()
    assert sessions.read("portal-1", now=NOW) is None
    assert sessions.read("", now=NOW) is None
    assert not any(token.encode() in key for key in valkey.client.scan_iter())


def test_a_session_ends_after_half_an_hour(sessions: PortalSessions) -> None:
    token = sessions.start(session())
    assert sessions.read(token, now=NOW + LIFETIME) is None


def test_a_session_that_was_ended_is_gone(sessions: PortalSessions) -> None:
    token = sessions.start(session())
    sessions.end(token)
    assert sessions.read(token, now=NOW) is None


def test_a_session_ends_with_its_idp_session(sessions: PortalSessions) -> None:
    token, other = sessions.start(session()), sessions.start(session("sid-2"))
    sessions.end_at_provider(ALICE, ALICE.source, "sid-1", now=NOW)
    assert sessions.read(token, now=NOW) is None
    assert sessions.read(other, now=NOW)


def test_a_session_ends_with_everything_of_its_subject(sessions: PortalSessions) -> None:
    bob = Subject(ALICE.source, "bob")
    token, other = sessions.start(session()), sessions.start(session(subject=bob))
    sessions.end_at_provider(ALICE, ALICE.source, "", now=NOW)
    later = sessions.start(session(started_at=NOW + dt.timedelta(seconds=1)))
    assert sessions.read(token, now=NOW) is None
    assert sessions.read(other, now=NOW)
    assert sessions.read(later, now=NOW)


def test_an_issuer_and_a_name_cannot_be_mixed_up(sessions: PortalSessions) -> None:
    token = sessions.start(session("b c", Subject("a", "x")))
    sessions.end_at_provider(None, "a b", "c", now=NOW)
    assert sessions.read(token, now=NOW)
