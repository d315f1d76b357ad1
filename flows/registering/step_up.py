"""Step-up: a signed-in person proves an existing authenticator before recovery data is changed (S1)."""

import datetime as dt
from dataclasses import dataclass

from flows.abuse.familiarity import Familiarity
from flows.abuse.throttle import Throttle, address_block
from flows.authenticators.base import Kinds
from flows.authenticators.base import Question as KindQuestion
from flows.errors import AttemptExpired, CodeExpired, NotPossible, Unavailable
from flows.messaging.asked import Asked, browser_of
from flows.messaging.dispatch import Dispatch
from flows.messaging.message import MessageKind
from flows.messaging.render import Render
from flows.notices.recovery_code_jobs import USED, body_of_use
from flows.registering.binding import HANDED_OUT
from flows.registering.member import Member, Pending
from flows.registering.pending import Question, Questions
from flows.settings import LimitSettings
from idp_plugin.base import Directory, Identity
from idp_plugin.errors import IdpError
from store.audit import AuditAction
from store.authenticators import Authenticator
from store.database import Database
from store.expiring import Expiring
from store.jobs import Jobs

COUNTS_FOR = dt.timedelta(minutes=10)
_STORED_AS = "step up"
_GIVEN = b"given"
_HANDED_OUT = b"handed out"


@dataclass(frozen=True, slots=True)
class Given:
    """A proof that counts in one portal session."""

    handed_out: bool
    """Whether a helpdesk had a part in it."""


class StepUp:
    """Asks for a proof, and remembers for ten minutes that this portal session gave one."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        expiring: Expiring,
        jobs: Jobs,
        questions: Questions,
        kinds: Kinds,
        throttle: Throttle,
        dispatch: Dispatch,
        render: Render,
        limits: LimitSettings,
    ) -> None:
        self._database = database
        self._directory = directory
        self._expiring = expiring
        self._jobs = jobs
        self._questions = questions
        self._kinds = kinds
        self._throttle = throttle
        self._dispatch = dispatch
        self._render = render
        self._limits = limits

    def is_given(self, member: Member) -> bool:
        """Tell whether this portal session gave a proof within the last ten minutes."""
        return self.given(member) is not None

    def given(self, member: Member) -> Given | None:
        """Return that proof; None where there is none."""
        # Security: asked once, so that no other tab's proof comes in between (S23).
        how = self._expiring.peek(_STORED_AS, _key(member))
        return None if how is None else Given(handed_out=how == _HANDED_OUT)

    def give(self, member: Member, *, handed_out: bool = False) -> None:
        """Remember that this portal session gave a proof, and whether a helpdesk had a part in it (S23)."""
        how = _HANDED_OUT if handed_out else _GIVEN
        self._expiring.put(_STORED_AS, _key(member), how, ttl=COUNTS_FOR)

    def begin(
        self,
        member: Member,
        authenticator_id: str,
        *,
        now: dt.datetime,
        asked_from: str,
        agent: str,
        way: str = "",
    ) -> Pending:
        """Ask for a proof of one authenticator; raises as `Registration.prove_begin`."""
        authenticator = self._usable(member, authenticator_id, now)
        kind = self._kinds[authenticator.kind]
        way = way if way in kind.ways else next(iter(kind.ways), "")
        if way:
            self._throttle.code(f"person:{authenticator.person_id}", "prove", now)
        with self._database.reading() as transaction:
            nothing = _asked("", "", "", authenticator)
            asked_for = kind.ask(nothing, transaction, now=now)
        question, code = self._questions.ask(
            member,
            "prove",
            kind.name,
            now=now,
            sends_code=bool(way),
            way=way,
            asked=asked_for,
            authenticator_id=authenticator_id,
        )
        if code:
            asked = Asked(now, address_block(asked_from) if asked_from else "", browser_of(agent))
            self._send(question, code, authenticator, asked, locale=member.locale)
        return self._shown(question, authenticator)

    def shown(self, member: Member, question: Question, now: dt.datetime) -> Pending:
        """Return an open proof again.

        Raises:
            AttemptExpired: What was to be proved proves nothing any more.
            NotPossible: `frozen`.
        """
        return self._shown(question, self._usable(member, question.authenticator_id, now))

    def confirm(self, member: Member, question_id: str, answer: str, *, now: dt.datetime) -> None:
        """Check the answer; raises as `Registration.prove_confirm`."""
        question = self._questions.read(member, question_id, now=now, purpose="prove")
        authenticator = self._usable(member, question.authenticator_id, now)
        person = f"step-up:{authenticator.person_id}"
        self._throttle.answer(person, now)
        if not self._prove(question, authenticator, answer, now):
            raise self._questions.wrong(question)
        if self._kinds[question.kind].is_told:
            body = body_of_use(authenticator.person_id, reference=question.reference, now=now)
            self._jobs.enqueue(USED, body)
        self._questions.close(question)
        self._throttle.right(person, person, now)
        # Security: what was bound with a helpdesk's code makes nothing its owner's own (S23).
        self.give(member, handed_out=authenticator.provenance == HANDED_OUT)

    def _shown(self, question: Question, authenticator: Authenticator) -> Pending:
        masked = self._kinds[question.kind].mask(authenticator.secret)
        return Pending(
            question.id,
            question.kind,
            masked,
            question.asked_at,
            question.expires_at,
            question.way,
            question.asked,
        )

    def _prove(self, question: Question, authenticator: Authenticator, answer: str, now: dt.datetime) -> bool:
        asked = _asked(question.id, question.code_digest, question.asked, authenticator)
        with self._database.transaction(commit_on=(CodeExpired,)) as transaction:
            proved = bool(self._kinds[question.kind].prove(asked, answer, transaction, now=now))
            transaction.audit.record(
                AuditAction.REGISTRATION_PROOF_GIVEN if proved else AuditAction.REGISTRATION_PROOF_REFUSED,
                now=now,
                person_id=authenticator.person_id,
                reference=question.reference,
                detail={"kind": question.kind},
            )
        return proved

    def _usable(self, member: Member, authenticator_id: str, now: dt.datetime) -> Authenticator:
        with self._database.reading() as transaction:
            person = transaction.people.by_subject(member.subject.source, member.subject.id)
            authenticator = transaction.authenticators.get(authenticator_id)
        if person is None or authenticator is None or authenticator.person_id != person.id:
            raise AttemptExpired
        if person.frozen_at is not None:
            raise NotPossible("frozen")
        # Security: a step-up is one proof alone, which some kinds never are.
        kind = self._kinds[authenticator.kind]
        if not authenticator.usable(now) or not kind.may_be_first:
            raise AttemptExpired
        if not kind.holds(authenticator.secret, lambda: self._identity(member)):
            raise AttemptExpired
        return authenticator

    def _identity(self, member: Member) -> Identity | None:
        try:
            return self._directory.get(member.subject)
        except IdpError as error:
            raise Unavailable from error

    def _send(
        self, question: Question, code: str, authenticator: Authenticator, asked: Asked, *, locale: str
    ) -> None:
        draft = self._render.in_language(locale).step_up_code(
            code, minutes=self._limits.code_minutes, asked=asked, reference=question.reference
        )
        destination = self._kinds[question.kind].destination(authenticator.secret)
        message = draft.to(destination, MessageKind.STEP_UP_CODE, question.reference, channel=question.way)
        self._dispatch.post(
            message,
            person_id=authenticator.person_id,
            until=question.expires_at,
            familiarity=Familiarity.REGISTERED,
        )


def _asked(bound_to: str, code_digest: str, asked: str, authenticator: Authenticator) -> KindQuestion:
    return KindQuestion(
        bound_to,
        code_digest,
        lambda: (authenticator,),
        asked,
        purpose="prove",
        person_id=authenticator.person_id,
    )


def _key(member: Member) -> str:
    return f"{member.session}\n{member.subject.source}\n{member.subject.id}"
