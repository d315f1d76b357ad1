"""The way from an application to the gateway's origin and back, with one session in the hand.

::

    to_sign_in   the application's host sets a nonce and sends the browser to us, with a sealed note
    read         the gateway's page reads the note: for which application, and where the person was going
    ticket       the person is signed in and the gate releases: a ticket for that nonce, good once
    redeem       back at the application's host, by the browser with the nonce

The note says nothing about a person and opens nothing. The ticket passes through the address bar, which is
why it is bound to a nonce that only the browser's cookie at that host carries (S12).
"""

import datetime as dt
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from pydantic import TypeAdapter

from gateway.forward_auth.application import Application
from gateway.forward_auth.application_session import ApplicationSession
from gateway.sealed_text import open_text, seal_text
from store.expiring import Expiring

CONTEXT = "forward_auth"
TICKET = "forward_auth_ticket"
NOTE_LIFETIME = dt.timedelta(hours=1)
"""Longer than a held sign-in waits for its person."""
TICKET_LIFETIME = dt.timedelta(seconds=60)
LONGEST_TARGET = 1024
"""A person who was going to a longer address arrives at the application's start page. The address travels
sealed within the request to the provider, and Keycloak reads 4096 bytes of that."""
MOST_TRIES = 2
_NONCE = re.compile(r"n\.[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Note:
    """What brought a browser to the gateway."""

    host: str
    """Of the application."""
    target: str = field(repr=False)
    """Path and query that the person asked the application for."""
    nonce: str = field(repr=False)
    """Digest of the nonce in the browser's cookie there."""
    tries: int
    """How often this browser came back without its nonce before."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One session for one browser at one application."""

    note: Note
    session: ApplicationSession


_JSON = TypeAdapter(Ticket)


class HandOvers:
    """Makes notes and tickets, and takes them back.

    Args:
        applications: By the `Host` that names them.
        address: Of the gateway's page that reads notes.
        arrival: Path at every application's host that redeems tickets.
    """

    def __init__(
        self, expiring: Expiring, applications: Mapping[bytes, Application], *, address: str, arrival: str
    ) -> None:
        self._expiring = expiring
        self.applications = applications
        self._address = address
        self.arrival = arrival

    def application(self, host: str) -> Application | None:
        """Return the application that a host names."""
        return self.applications.get(host.encode())

    def to_sign_in(
        self, application: Application, target: str, cookie: str, *, now: dt.datetime, tries: int = 0
    ) -> tuple[str, str]:
        """Return the gateway's address for a browser, and what its cookie is to be.

        Args:
            cookie: What it is now. A nonce stays what it was, so that tabs do not disturb each other.
        """
        nonce = cookie if _NONCE.fullmatch(cookie) else f"n.{secrets.token_urlsafe(32)}"
        note = {
            "host": application.host,
            "target": target if len(target) <= LONGEST_TARGET else "/",
            "nonce": _digest(nonce),
            "tries": str(tries),
            "until": (now + NOTE_LIFETIME).isoformat(),
        }
        sealed = seal_text(self._expiring.vault, note, CONTEXT)
        return f"{self._address}?{urlencode({'for': sealed})}", nonce

    def read(self, sealed: str, *, now: dt.datetime) -> Note | None:
        """Return a note of ours; None where it is none, or too old."""
        facts = open_text(self._expiring.vault, sealed, CONTEXT)
        if not facts or dt.datetime.fromisoformat(facts["until"]) <= now:
            return None
        return Note(facts["host"], facts["target"], facts["nonce"], int(facts["tries"]))

    def ticket(self, application: Application, note: Note, session: ApplicationSession) -> str:
        """Return the address at the application that gives the browser its session.

        Raises:
            StoreUnavailable: There is none.
        """
        ticket = secrets.token_urlsafe(32)
        self._expiring.put(TICKET, ticket, _JSON.dump_json(Ticket(note, session)), ttl=TICKET_LIFETIME)
        return f"{application.origin}{quote(self.arrival)}?{urlencode({'ticket': ticket})}"

    def find(self, ticket: str, host: str) -> Ticket | None:
        """Return what a ticket is for, at this application; it stays good.

        Raises:
            StoreUnavailable: It cannot be told.
        """
        found = self._expiring.peek(TICKET, ticket) if ticket else None
        read = _JSON.validate_json(found) if found else None
        return read if read and read.note.host == host else None

    def redeem(self, ticket: str, found: Ticket, cookie: str) -> bool:
        """Tell whether this browser may have the session; True once.

        Args:
            found: As `find` returned it.
            cookie: What the browser brought.

        Raises:
            StoreUnavailable: It cannot be told; the ticket may be gone.
        """
        # Security: looked at before it is spent, so that another browser spends nobody's ticket (S12).
        is_own = hmac.compare_digest(found.note.nonce, _digest(cookie)) and bool(_NONCE.fullmatch(cookie))
        return is_own and self._expiring.take(TICKET, ticket) is not None


def _digest(nonce: str) -> str:
    return hashlib.sha256(b"sparekey forward auth " + nonce.encode()).hexdigest()
