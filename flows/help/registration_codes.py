"""Handing a registration code to somebody: made once, shown once, told to every address of the person."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from enforcement.policy import Policy
from flows.errors import HelpRefused
from flows.help.person import helpable
from flows.ids import new_reference
from flows.messaging.dispatch import Dispatch
from flows.messaging.letters import Letters
from flows.messaging.message import MessageKind
from flows.notices.notifications import Recipient, Stop, Stops, recipient
from flows.recovery.eligibility import Eligibility
from flows.registering.handed_out import HandedOutCodes
from flows.situations import situation_of
from idp_plugin.base import Directory, Identity
from store.audit import AuditAction
from store.database import Database

LIVES = dt.timedelta(hours=24)
LONGEST = dt.timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class Issued:
    """A code to be told or handed to the person."""

    username: str
    code: str = field(repr=False)
    until: dt.datetime
    reference: str


class RegistrationCodes:
    """What commands call, and the API later; who may call it is decided there."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        policies: Callable[[], Policy],
        eligibility: Eligibility,
        codes: HandedOutCodes,
        stops: Stops,
        dispatch: Dispatch,
        letters: Letters,
    ) -> None:
        self._database = database
        self._directory = directory
        self._policies = policies
        self._eligibility = eligibility
        self._codes = codes
        self._stops = stops
        self._dispatch = dispatch
        self._letters = letters

    def issue(self, identifier: str, *, author: str, now: dt.datetime, lives: dt.timedelta = LIVES) -> Issued:
        """Make a code for somebody; it voids an earlier one.

        Args:
            identifier: The person's name; make sure before that it is them.
            author: Who hands it out, for the audit.
            now: Aware UTC time.
            lives: Until when it is good; at most `LONGEST`.

        Raises:
            HelpRefused: `unknown`, `disabled`, `privileged`, or `not_covered` where no rule lets the person
                register anything.
            Unavailable: The directory does not answer.
        """
        identity, reference = self._identity(identifier), new_reference()
        reached = self._recipient(identity, now)
        code = self._codes.make(reached.person_id, author=author, now=now, lives=min(lives, LONGEST))
        with self._database.transaction() as transaction:
            transaction.audit.record(
                AuditAction.REGISTRATION_CODE_ISSUED,
                now=now,
                person_id=reached.person_id,
                reference=reference,
                detail={"author": author},
            )
        self._tell(reached, reference, now)
        return Issued(identity.username, code, now + min(lives, LONGEST), reference)

    def _identity(self, identifier: str) -> Identity:
        identity = helpable(self._directory, self._eligibility, identifier)
        if self._policies().rule_for(situation_of(identity)) is None:
            raise HelpRefused("not_covered")
        return identity

    def _recipient(self, identity: Identity, now: dt.datetime) -> Recipient:
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(identity.subject.source, identity.subject.id, now=now)
            own = transaction.authenticators.of(person.id)
        return recipient(person.id, identity, own)

    def _tell(self, reached: Recipient, reference: str, now: dt.datetime) -> None:
        link = self._stops.link(Stop(reached.person_id, now, reference))
        draft = self._letters.in_language(reached.locale).registration_code_issued(
            name=reached.name, at=now, stop_link=link, reference=reference
        )
        for address in reached.addresses:
            message = draft.to(address, MessageKind.NOTICE, reference)
            self._dispatch.post(message, person_id=reached.person_id)
