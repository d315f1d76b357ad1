"""Browsers in which a name was proved before: strangers cannot use up their limits (S5).

The browser keeps a sealed token with a random id and, for each name that was proved in it, whose it was. It
is handed out only after a proof or a sign-in, so it tells nobody whether a name exists (S4). It proves
nothing by itself: whoever takes one gets limits of its own and no more.

Source: OWASP, "Slow down online guessing attacks with device cookies".
"""

import base64
import binascii
import datetime as dt
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter, ValidationError

from flows.typed_name import digest_of
from idp_plugin.base import Directory, Subject
from idp_plugin.errors import IdpError
from store.database import Database
from store.errors import SealBroken
from store.expiring import Expiring
from store.people import Person
from store.vault import Vault

MOST_NAMES = 8
"""A shared browser forgets the name that was proved longest ago."""
LONGEST_TOKEN = 4096
_NAMES_OF_ONE = 4
_CONTEXT = "known device"
_KEPT = 64
_COUNTS_LIVE = dt.timedelta(days=8)
"""Longer than any window of `LimitSettings`."""


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """A browser that somebody proved a name in."""

    id: str
    person_id: str
    """Whose name it was then; to whom it belongs now is found out by the look-up."""


@dataclass(frozen=True, slots=True)
class _Proved:
    """One name."""

    typed: str
    """Keyed digest of the normalised name."""
    person_id: str
    epoch: int
    """The person's, when it was proved: "this was not me" and every finished change void it."""
    until: dt.datetime


@dataclass(frozen=True, slots=True)
class _Token:
    """What the browser keeps, sealed."""

    id: str = field(default_factory=lambda: secrets.token_hex(16))
    names: tuple[_Proved, ...] = ()
    """Newest first."""


_JSON = TypeAdapter(_Token)


class KnownDevices:
    """Makes tokens and reads them."""

    def __init__(
        self, *, database: Database, expiring: Expiring, directory: Directory, lives: dt.timedelta
    ) -> None:
        """Take the parts; `lives` is how long a browser stays known, zero where none is."""
        self._database = database
        self._expiring = expiring
        self._directory = directory
        self._vault: Vault = expiring.vault
        self._lives = lives

    def recognise(self, token: str, typed: str, now: dt.datetime) -> KnownDevice | None:
        """Return the device that a token stands for, if this name was proved in it and nothing voided that.

        Args:
            token: As the browser sent it.
            typed: Keyed digest of the normalised name.
            now: Aware UTC time.
        """
        found = self._opened(token)
        proved = next((each for each in found.names if each.typed == typed), None)
        if proved is None or proved.until <= now or not self._lives:
            return None
        person = self._person(proved.person_id)
        if person is None or person.frozen_at is not None or person.epoch != proved.epoch:
            return None
        # An administrator clears these limits too, and finds them by this list.
        self._expiring.append(_CONTEXT, person.id, found.id.encode(), keep=_KEPT, ttl=_COUNTS_LIVE)
        return KnownDevice(found.id, person.id)

    def remember(self, token: str, typed: Collection[str], person_id: str, now: dt.datetime) -> str:
        """Return the browser's new token, after an attempt of this person succeeded in it.

        Args:
            token: The one that the browser had, which may be anything.
            typed: Keyed digests of the names that stand for this person.
            person_id: Who.
            now: Aware UTC time.

        Returns:
            Empty where nothing is to be kept: recovery is frozen, or no device is known here.
        """
        person, found = self._person(person_id), self._opened(token)
        if person is None or person.frozen_at is not None or not self._lives:
            return ""
        fresh = tuple(_Proved(each, person.id, person.epoch, now + self._lives) for each in typed)
        others = tuple(each for each in found.names if each.typed not in set(typed) and each.until > now)
        return self._sealed(replace(found, names=(*fresh, *others)[:MOST_NAMES]))

    def remember_member(self, token: str, subject: Subject, now: dt.datetime) -> str:
        """Return the browser's new token, while this person is signed in at our own pages in it.

        Returns:
            Empty as for `remember`, and where the token knows the person and is not half as old as it may
            become.
        """
        with self._database.reading() as transaction:
            person = transaction.people.by_subject(subject.source, subject.id)
        if person is None or self._knows(token, person, now):
            return ""
        try:
            identity = self._directory.get(subject)
        except IdpError:
            return ""
        names = (identity.username, *identity.emails)[:_NAMES_OF_ONE] if identity else ()
        typed = dict.fromkeys(digest_of(self._vault, each) for each in names if each)
        return self.remember(token, tuple(typed), person.id, now) if typed else ""

    def ids_of(self, person_id: str) -> tuple[str, ...]:
        """Return the devices that were recognised for a person lately, each once."""
        found = (each.decode() for each in self._expiring.entries(_CONTEXT, person_id))
        return tuple(dict.fromkeys(found))

    def _knows(self, token: str, person: Person, now: dt.datetime) -> bool:
        half = now + self._lives / 2
        own = (each for each in self._opened(token).names if each.person_id == person.id)
        return any(each.epoch == person.epoch and each.until > half for each in own)

    def _person(self, person_id: str) -> Person | None:
        with self._database.reading() as transaction:
            return transaction.people.get(person_id)

    def _sealed(self, token: _Token) -> str:
        sealed = self._vault.seal(_JSON.dump_json(token), _CONTEXT)
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _opened(self, token: str) -> _Token:
        """Return what a token says; a new one where it is not ours."""
        if not token or len(token) > LONGEST_TOKEN:
            return _Token()
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return _JSON.validate_json(self._vault.open(sealed, _CONTEXT))
        except (binascii.Error, SealBroken, ValidationError, ValueError):
            return _Token()
