"""The forgotten name: somebody types a registered address or number, and the name to sign in with goes there.

It goes to the address as it was registered, never to the one that was typed, and in one message for all
who share it: whoever reads one of them reads the others.
"""

import datetime as dt
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from enforcement.policy import Policy
from flows.abuse.familiarity import Familiarity
from flows.abuse.throttle import Throttle
from flows.authenticators import email_address, phone_number
from flows.authenticators.phone_number import Number
from flows.errors import UnusableAddress, UnusableNumber
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


class ForgottenName:
    """What the pages call."""

    def __init__(
        self, requests: Requests, *, policies: Callable[[], Policy], default_region: str, has_texts: bool
    ) -> None:
        """Take the parts.

        Args:
            policies: Returns the policy in force.
            default_region: See `MessagesSettings.default_region`.
            has_texts: Whether text messages can leave.
        """
        self._requests = requests
        self._region = default_region
        self._policies = policies
        self._has_texts = has_texts
        self._sort = Sort(purpose=PURPOSE, job=JOB, asked=AuditAction.NAME_ASKED, typed=self._counted)

    @property
    def takes_numbers(self) -> bool:
        """Whether anybody could have registered a number that a name can be sent to."""
        return self._has_texts and "mobile_phone" in self._policies().kinds

    def ask(self, address: str, stranger: Stranger, *, now: dt.datetime) -> str:
        """Ask for the names that belong to an address or number; raises and returns as `Requests.take`."""
        return self._requests.take(self._sort, address, stranger, now=now)

    def _counted(self, typed: str) -> str:
        """Return what limits count, so that no other way of writing earns a budget of its own."""
        number = _number(typed, self._region)
        return str(number) if number else email_address.mailbox(normalised(typed))


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
        default_region: str,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._region = default_region
        self._database = database
        self._directory = directory
        self._vault = vault
        self._throttle = throttle
        self._dispatch = dispatch
        self._letters = letters
        self._clock = clock

    def send(self, body: Mapping[str, Any]) -> None:
        """Send the names that belong to an address or number, if any do; an error means: again later."""
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
        channel = "email" if addressed.kind == "email" else "sms"
        message = draft.to(addressed.secret.decode(), MessageKind.NAME, reference, channel=channel)
        self._dispatch.post(message, person_id=addressed.person_id, familiarity=Familiarity.TYPED)

    def _registered(self, typed: str) -> tuple[Authenticator, ...]:
        """Return one usable authenticator for each person who registered this mailbox or mobile number."""
        now, (kind, lookups) = self._clock(), self._lookups(typed)
        if not lookups:
            return ()
        with self._database.reading() as transaction:
            sharing = transaction.authenticators.sharing(kind, lookups, limit=MOST_NAMES)
            frozen = {
                each.person_id
                for each in sharing
                if (person := transaction.people.get(each.person_id)) is None or person.frozen_at
            }
        usable = [each for each in sharing if each.usable(now) and each.person_id not in frozen]
        return tuple({each.person_id: each for each in reversed(usable)}.values())

    def _lookups(self, typed: str) -> tuple[str, tuple[str, ...]]:
        """Return which kind was typed, and by which digests whoever registered it is found."""
        if number := _number(typed, self._region):
            return "mobile_phone", phone_number.lookups(self._vault, number)
        try:
            return "email", email_address.lookups(self._vault, email_address.parse(typed))
        except UnusableAddress:
            return "email", ()

    def _identity(self, authenticator: Authenticator) -> Identity | None:
        with self._database.reading() as transaction:
            person = transaction.people.get(authenticator.person_id)
        return self._directory.get(Subject(person.source, person.subject)) if person else None


def _number(typed: str, region: str) -> Number | None:
    """Return the number that was typed, if it is one that text messages go to."""
    try:
        number = phone_number.parse(typed, region)
    except UnusableNumber:
        return None
    return None if number.extension else number


def tellable(identities: Iterable[Identity]) -> tuple[str, ...]:
    """Return user names, each once, without those that a mail program could turn into something else."""
    names = dict.fromkeys(identity.username for identity in identities)
    return tuple(sorted(name for name in names if _is_tellable(name)))


def _is_tellable(name: str) -> bool:
    if not name or len(name) > 256 or not _UNTELLABLE.isdisjoint(name):
        return False
    return not any(unicodedata.category(letter)[0] in "CZ" and letter != " " for letter in name)
