"""The forgotten name: somebody types a registered address, and the name to sign in with is mailed there.

It goes to the address as it was registered, never to the one that was typed, and in one message for all
who share the mailbox: whoever reads one of them reads the others.
"""

import datetime as dt
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from flows.abuse.throttle import Throttle
from flows.authenticators import email_address
from flows.errors import UnusableAddress
from flows.help.requests import Requests, Sort, Stranger, asked_of
from flows.messaging.dispatch import Dispatch
from flows.messaging.letters import Letters
from flows.messaging.message import MessageKind
from flows.typed_name import normalised
from idp_plugin.base import Directory, Identity, Subject
from store.audit import AuditAction
from store.authenticators import Authenticator
from store.database import Database
from store.vault import Vault

PURPOSE = "name"
JOB = "name.send"
MOST_NAMES = 20
_UNTELLABLE = frozenset('<>"/\\')
_log = structlog.get_logger(__name__)


def _mailbox(typed: str) -> str:
    """Return what limits count: the mailbox, so that a part after a plus sign earns no budget of its own."""
    return email_address.mailbox(normalised(typed))


SORT = Sort(purpose=PURPOSE, job=JOB, asked=AuditAction.NAME_ASKED, typed=_mailbox)


class ForgottenName:
    """What the pages call."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def ask(self, address: str, stranger: Stranger, *, now: dt.datetime) -> str:
        """Ask for the names that belong to an address; raises and returns as `Requests.take`."""
        return self._requests.take(SORT, address, stranger, now=now)


class ForgottenNameJobs:
    """What the queue does with it."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        vault: Vault,
        throttle: Throttle,
        dispatch: Dispatch,
        letters: Letters,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._vault = vault
        self._throttle = throttle
        self._dispatch = dispatch
        self._letters = letters
        self._clock = clock

    def send(self, body: Mapping[str, Any]) -> None:
        """Mail the names that belong to an address, if any do; an error means: again later."""
        found = self._registered(body["typed"])
        people = [(each, identity) for each in found if (identity := self._identity(each))]
        # Security: an alias of the mailbox shares the silent budget of whoever is behind it (S5).
        if not people or not self._throttle.code_to_person(people[0][0].person_id, PURPOSE, self._clock()):
            return
        asked, reference = asked_of(body), body["reference"]
        locale = next((identity.locale for _, identity in people if identity.locale), "")
        draft = self._letters.in_language(locale).forgotten_name(
            tellable(identity for _, identity in people), asked=asked, reference=reference
        )
        addressed = people[0][0]
        message = draft.to(addressed.secret.decode(), MessageKind.NAME, reference)
        self._dispatch.post(message, person_id=addressed.person_id)

    def _registered(self, typed: str) -> tuple[Authenticator, ...]:
        """Return one usable authenticator for each person who registered this mailbox."""
        try:
            address = email_address.parse(typed)
        except UnusableAddress:
            return ()
        now, lookups = self._clock(), email_address.lookups(self._vault, address)
        with self._database.reading() as transaction:
            sharing = transaction.authenticators.sharing("email", lookups, limit=MOST_NAMES)
            frozen = {
                each.person_id
                for each in sharing
                if (person := transaction.people.get(each.person_id)) is None or person.frozen_at
            }
        usable = [each for each in sharing if each.usable(now) and each.person_id not in frozen]
        return tuple({each.person_id: each for each in reversed(usable)}.values())

    def _identity(self, authenticator: Authenticator) -> Identity | None:
        with self._database.reading() as transaction:
            person = transaction.people.get(authenticator.person_id)
        return self._directory.get(Subject(person.source, person.subject)) if person else None


def tellable(identities: Iterable[Identity]) -> tuple[str, ...]:
    """Return user names, each once, without those that a mail program could turn into something else."""
    names = dict.fromkeys(identity.username for identity in identities)
    return tuple(sorted(name for name in names if _is_tellable(name)))


def _is_tellable(name: str) -> bool:
    if not name or len(name) > 256 or not _UNTELLABLE.isdisjoint(name):
        return False
    return not any(unicodedata.category(letter)[0] in "CZ" and letter != " " for letter in name)
