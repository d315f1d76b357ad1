"""The registration journey: bind, confirm, remove and postpone, as the signed-in person."""

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence

from enforcement.grace import Postponement, may_postpone
from enforcement.requirement import Facts, gap
from flows.abuse.familiarity import Familiarity
from flows.abuse.throttle import Throttle, address_block
from flows.authenticators import email_address
from flows.authenticators.base import Accepted, Kind, Kinds, Prepared, Wish
from flows.errors import ProofRequired, Refused, UnusableAddress, WrongStage
from flows.messaging.asked import Asked, browser_of
from flows.messaging.dispatch import Dispatch
from flows.messaging.message import MessageKind
from flows.messaging.render import Render
from flows.notices.freezing import Freezing
from flows.notices.notifications import Notices, recipient
from flows.registering.binder import Binder
from flows.registering.binding import LOST_WAITS, require_usable_address
from flows.registering.handed_out import Redeeming
from flows.registering.member import Member, Pending, Registered, Status
from flows.registering.pending import Question, Questions
from flows.registering.standing import Standing, Standings
from flows.registering.step_up import StepUp
from flows.settings import LimitSettings
from idp_plugin.base import Identity
from store.audit import AuditAction
from store.authenticators import Authenticator
from store.database import Database, Transaction

__all__ = ["Member", "Pending", "Registered", "Registration", "Status"]


class Registration:
    """Everything that the registration pages call."""

    def __init__(
        self,
        *,
        database: Database,
        standings: Standings,
        kinds: Kinds,
        questions: Questions,
        step_up: StepUp,
        freezing: Freezing,
        throttle: Throttle,
        dispatch: Dispatch,
        render: Render,
        notices: Notices,
        limits: LimitSettings,
        redeeming: Redeeming,
        sign_in_domains: Sequence[str] = (),
        lost_waits: dt.timedelta = LOST_WAITS,
    ) -> None:
        """Take the parts.

        Args:
            sign_in_domains: See `MessagesSettings.sign_in_domains`.
            lost_waits: See `binding.LOST_WAITS`; only the demo sets another.
        """
        self._database = database
        self._standings = standings
        self._kinds = kinds
        self._questions = questions
        self._step_up = step_up
        self._freezing = freezing
        self._throttle = throttle
        self._dispatch = dispatch
        self._render = render
        self._notices = notices
        self._limits = limits
        self._redeeming = redeeming
        self._sign_in_domains = tuple(sign_in_domains)
        self._binder = Binder(database=database, kinds=kinds, lost_waits=lost_waits)

    def status(self, member: Member, *, now: dt.datetime) -> Status:
        """Return what a person has, and what the policy asks."""
        rule = self._standings.rule(member, now)
        identity = self._standings.identity_if_possible(member)
        with self._database.reading() as transaction:
            person = transaction.people.by_subject(member.subject.source, member.subject.id)
            own = transaction.authenticators.of(person.id) if person else ()
            postponements = transaction.people.postponements(person.id if person else "")
            doubts = transaction.people.doubts(person.id) if person else ()
        frozen = person is not None and person.frozen_at is not None
        seen_at = person.seen_at if person else None
        facts = Facts.from_authenticators(own, frozen=frozen, doubts=doubts, seen_at=seen_at)
        return Status(
            rule=rule,
            gap=gap(rule, facts, now=now) if rule else None,
            postponement=may_postpone(rule, postponements, now=now) if rule else None,
            authenticators=tuple(self._registered(each) for each in own),
            suggestions=self._suggestions(identity, own),
            kinds=rule.register_kinds if rule and not frozen else (),
            proof_needed=any(each.usable(now) for each in own) and not self._step_up.is_given(member),
            frozen=frozen,
            username=identity.username if identity else "",
            display_name=identity.display_name if identity else "",
        )

    def ways(self, kind: str) -> tuple[str, ...]:
        """Return the channels by which a code of this kind can come, the usual one first."""
        return self._kinds[kind].ways

    def suggestions(self, member: Member, kind: str) -> tuple[str, ...]:
        """Return what the directory knows of the person that may be bound, in full.

        Raises:
            Unavailable: It does not answer.
        """
        identity = self._standings.identity(member)
        return self._kinds[kind].suggestions(identity) if identity else ()

    def begin(
        self,
        member: Member,
        kind: str,
        typed: str = "",
        *,
        now: dt.datetime,
        way: str = "",
        lost: bool = False,
        replaces: str = "",
        asked_from: str = "",
        agent: str = "",
    ) -> Pending:
        """Begin to bind something; for kinds that are sent, send a code to what is to be bound.

        Args:
            member: Who.
            kind: One of the policy's.
            typed: The address or number as typed; empty for kinds that ask for nothing.
            now: Aware UTC time.
            way: Channel by which the code is to come; empty means the kind's first.
            lost: "I can use none of these any more": no proof is asked, and the new one waits (S1).
            replaces: Id of the authenticator that goes when this one comes; never with `lost`.
            asked_from: The client's address, told in the message as its block.
            agent: The `User-Agent` field; only names from a fixed list are told.

        Raises:
            UnusableAddress: With `why`.
            ProofRequired: Something usable is registered, and was not proved in this session.
            TooSoon: Another code was asked for just now.
            TooManyAttempts: This hour's codes are used up, for the person or for the destination.
            NotPossible: `frozen` or `not_covered`.
            Unavailable: The directory does not answer.
        """
        standing = self._standings.read(member, now)
        with self._audited_refusal(standing, now), self._database.reading() as transaction:
            standing.require_kind(kind)
            standing.require_proof(lost=lost, replaces=replaces)
            wish = self._wish(transaction, member, standing, replaces, typed=typed, way=way)
            prepared = self._kinds[kind].prepare(wish, now=now)
        self._count(standing, kind, prepared, now)
        question, code = self._questions.ask(
            member,
            "bind",
            kind,
            now=now,
            sends_code=bool(prepared.way),
            secret=prepared.secret,
            way=prepared.way,
            lost=lost,
            replaces=replaces,
        )
        if code:
            asked = Asked(now, address_block(asked_from) if asked_from else "", browser_of(agent))
            self._send(question, code, prepared, standing.person.id, asked, locale=member.locale)
        return self._shown(member, standing, question)

    def pending(self, member: Member, pending_id: str, *, now: dt.datetime) -> Pending:
        """Return an open binding or proof again, for a page that is shown anew.

        Raises:
            AttemptExpired: None such, or over.
            CodeExpired: Too old.
            NotPossible: `frozen` or `not_covered`.
        """
        question = self._questions.read(member, pending_id, now=now)
        if question.purpose == "prove":
            return self._step_up.shown(member, question, now)
        return self._shown(member, self._standings.read(member, now), question)

    def confirm(self, member: Member, pending_id: str, answer: str, *, now: dt.datetime) -> Registered:
        """Check the answer and bind what was begun; tell every address of the person.

        Args:
            member: Who.
            pending_id: Which binding.
            answer: As typed; for what is shown until it is saved, empty: asking is the answer.
            now: Aware UTC time.

        Raises:
            WrongCode: With `attempts_left`.
            CodeExpired: Too old.
            AttemptExpired: None such, answered before, or too many wrong answers.
            UnusableAddress: Others, or this person, were faster.
            ProofRequired: A usable method came into being meanwhile.
            NotPossible: `frozen` or `not_covered`.
            Unavailable: The directory does not answer, so nobody could be told; the code stays good.
        """
        question = self._questions.read(member, pending_id, now=now, purpose="bind")
        standing = self._standings.read(member, now)
        standing.require_kind(question.kind)
        standing.require_proof(lost=question.lost, replaces=question.replaces)
        kept = self._kinds[question.kind].kept(self._questions.waiting(question), answer, now=now)
        if kept is None:
            self._record(standing.person.id, AuditAction.REGISTRATION_CODE_REFUSED, question, now)
            raise self._questions.wrong(question)
        return self._bind(member, standing, question, Accepted(kept, answer), now)

    def prove_begin(
        self,
        member: Member,
        authenticator_id: str,
        *,
        now: dt.datetime,
        way: str = "",
        asked_from: str = "",
        agent: str = "",
    ) -> Pending:
        """Ask for a proof of an existing method; it then allows changes for ten minutes (S1).

        Raises:
            AttemptExpired: No such authenticator, or it proves nothing now.
            TooSoon: Another code was asked for just now.
            TooManyAttempts: This hour's codes are used up.
            NotPossible: `frozen`.
            Unavailable: The directory is needed for this one and does not answer.
        """
        return self._step_up.begin(
            member, authenticator_id, now=now, way=way, asked_from=asked_from, agent=agent
        )

    def prove_confirm(self, member: Member, pending_id: str, answer: str, *, now: dt.datetime) -> None:
        """Check the answer to `prove_begin`.

        Raises:
            WrongCode: With `attempts_left`.
            CodeExpired: Too old, or used before.
            AttemptExpired: None such, answered before, or too many wrong answers.
            TooManyAttempts: This person's wrong answers of 24 hours are used up.
            NotPossible: `frozen`.
        """
        self._step_up.confirm(member, pending_id, answer, now=now)

    def redeem(self, member: Member, answer: str, *, now: dt.datetime) -> None:
        """Take a code that a helpdesk handed out for the proof of an existing method, for ten minutes (S1).

        Raises:
            WrongCode: With `attempts_left`, or none is out.
            CodeExpired: It was used before.
            TooManyAttempts: This person's wrong answers of the day are used up.
            NotPossible: `frozen` or `not_covered`.
        """
        self._redeeming.redeem(member, self._standings.read(member, now), answer, now)

    def remove(self, member: Member, authenticator_id: str, *, now: dt.datetime) -> None:
        """Unbind an authenticator and tell every address of the person, the removed one included.

        Raises:
            ProofRequired: No existing method was proved in this session.
            LastMethod: Less than the policy asks would be left.
            AttemptExpired: No such authenticator.
            NotPossible: `frozen` or `not_covered`.
            Unavailable: The directory does not answer, so nobody could be told.
        """
        standing = self._standings.read(member, now)
        with self._audited_refusal(standing, now):
            removed = standing.authenticator(authenticator_id)
            if not standing.has_proved:
                raise ProofRequired
            standing.require_enough_without(removed, now)
        reached = recipient(standing.person.id, self._standings.identity(member), standing.own)
        with self._database.transaction() as transaction:
            transaction.authenticators.remove(removed.id)
            transaction.audit.record(
                AuditAction.REGISTRATION_AUTHENTICATOR_REMOVED,
                now=now,
                person_id=standing.person.id,
                detail={"kind": removed.kind, "number": removed.number},
            )
        self._notices.method_removed(reached, method=removed.kind, now=now, reference="")

    def confirm_all(self, member: Member, *, now: dt.datetime) -> None:
        """Restart the clock of everything registered ("Looks good").

        Raises:
            WrongStage: Nothing is registered that could be confirmed.
            NotPossible: `frozen` or `not_covered`.
        """
        standing = self._standings.read(member, now)
        if all(each.suspended_at is not None for each in standing.own):
            raise WrongStage
        with self._database.transaction() as transaction:
            transaction.authenticators.confirm_all(standing.person.id, now=now)
            own = transaction.authenticators.of(standing.person.id)
            # Security: as long as anything is missing, "later" stays used up.
            if not gap(standing.rule, Facts.from_authenticators(own, frozen=False), now=now):
                transaction.people.clear_postponements(standing.person.id)
            transaction.audit.record(
                AuditAction.REGISTRATION_AUTHENTICATOR_CONFIRMED, now=now, person_id=standing.person.id
            )

    def postpone(self, member: Member, idp_session: str, *, now: dt.datetime) -> Postponement:
        """Say "later" for one IdP session; saying it twice in one counts once.

        Returns:
            What remains of it.

        Raises:
            WrongStage: It may not be said any more, or there is no rule or session to say it to.
        """
        rule = self._standings.rule(member, now)
        if rule is None or not idp_session:
            raise WrongStage
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(member.subject.source, member.subject.id, now=now)
            before = transaction.people.postponements(person.id)
            if not before.includes(idp_session):
                if not may_postpone(rule, before, now=now).allowed:
                    raise WrongStage
                transaction.people.postpone(person.id, idp_session, now=now)
                transaction.audit.record(
                    AuditAction.SIGN_IN_GATE_POSTPONED,
                    now=now,
                    person_id=person.id,
                    detail={"rule": rule.name},
                )
            after = transaction.people.postponements(person.id)
        return may_postpone(rule, after, now=now)

    def may_stop(self, reference: str) -> bool:
        """Tell whether a reference from a notice is good, for the page with the button; changes nothing."""
        return self._freezing.is_known(reference)

    def stop_binding(self, reference: str, *, now: dt.datetime) -> bool:
        """Freeze ("This was not me"); only ever called for a POST. True if the reference was good."""
        return self._freezing.stop(reference, now=now)

    def _wish(
        self,
        transaction: Transaction,
        member: Member,
        standing: Standing,
        replaces: str,
        *,
        typed: str = "",
        way: str = "",
    ) -> Wish:
        identity = self._standings.identity_if_possible(member)
        return Wish(
            typed=typed,
            way=way,
            person_id=standing.person.id,
            username=identity.username if identity else member.subject.id,
            identity=lambda: identity or self._standings.identity(member),
            own=standing.without(replaces),
            rule=standing.binding_rule,
            has_proved=standing.has_proved,
            transaction=transaction,
        )

    def _count(self, standing: Standing, kind: str, prepared: Prepared, now: dt.datetime) -> None:
        if not prepared.way:
            return
        shared = self._kinds[kind].lookups(prepared.secret)
        self._throttle.code_to_destination(shared[0], now)
        self._throttle.code(f"person:{standing.person.id}", "bind", now)

    def _bind(
        self,
        member: Member,
        standing: Standing,
        question: Question,
        accepted: Accepted,
        now: dt.datetime,
    ) -> Registered:
        # Security: nothing is bound while the person's other addresses cannot be told of it (S1).
        reached = recipient(standing.person.id, self._standings.identity(member), standing.own)
        self._questions.close(question)
        added = self._binder.bind(member, standing, question, accepted, now)
        is_renewed = self._kind(question).voids(standing.own, proved=standing.has_proved)
        if is_renewed and self._kind(question).left(added.secret) is not None:
            self._notices.recovery_codes_renewed(reached, now=now, reference=question.reference)
        else:
            self._notices.method_added(reached, method=added.kind, now=now, reference=question.reference)
        if added.usable(now):
            # This session has just shown that it holds a method that counts.
            self._step_up.give(member, handed_out=standing.is_handed_out)
        return self._registered(added)

    def _kind(self, question: Question) -> Kind:
        return self._kinds[question.kind]

    def _send(
        self,
        question: Question,
        code: str,
        prepared: Prepared,
        person_id: str,
        asked: Asked,
        *,
        locale: str,
    ) -> None:
        draft = self._render.in_language(locale).registration_code(
            code, minutes=self._limits.code_minutes, asked=asked, reference=question.reference
        )
        message = draft.to(
            prepared.destination, MessageKind.REGISTRATION_CODE, question.reference, channel=prepared.way
        )
        self._dispatch.post(
            message, person_id=person_id, until=question.expires_at, familiarity=Familiarity.TYPED
        )

    def _shown(self, member: Member, standing: Standing, question: Question) -> Pending:
        kind = self._kind(question)
        with self._database.reading() as transaction:
            wish = self._wish(transaction, member, standing, question.replaces)
            shown = kind.shown(self._questions.waiting(question), wish)
        return Pending(
            question.id,
            question.kind,
            kind.destination(question.secret_bytes),
            question.asked_at,
            question.expires_at,
            question.way,
            shown=shown,
        )

    def _registered(self, authenticator: Authenticator) -> Registered:
        return Registered(
            id=authenticator.id,
            kind=authenticator.kind,
            masked=self._kinds[authenticator.kind].mask(authenticator.secret),
            confirmed_at=authenticator.confirmed_at,
            trusted_from=authenticator.trusted_from,
            provenance=authenticator.provenance,
            number=authenticator.number,
            suspended=authenticator.suspended_at is not None,
            left=self._kinds[authenticator.kind].left(authenticator.secret),
            proves_alone=self._kinds[authenticator.kind].may_be_first,
        )

    def _suggestions(self, identity: Identity | None, own: Sequence[Authenticator]) -> tuple[str, ...]:
        suggested: list[str] = []
        for mail in identity.emails if identity else ():
            with contextlib.suppress(UnusableAddress):
                address = email_address.parse(mail)
                require_usable_address(address, identity, own, self._sign_in_domains)
                suggested.append(address)
        return tuple(dict.fromkeys(suggested))

    @contextlib.contextmanager
    def _audited_refusal(self, standing: Standing, now: dt.datetime) -> Iterator[None]:
        try:
            yield
        except Refused as error:
            detail = {"why": getattr(error, "why", type(error).__name__)}
            with self._database.transaction() as transaction:
                transaction.audit.record(
                    AuditAction.REGISTRATION_AUTHENTICATOR_REFUSED,
                    now=now,
                    person_id=standing.person.id,
                    detail=detail,
                )
            raise

    def _record(self, person_id: str, action: AuditAction, question: Question, now: dt.datetime) -> None:
        with self._database.transaction() as transaction:
            transaction.audit.record(
                action,
                now=now,
                person_id=person_id,
                reference=question.reference,
                detail={"kind": question.kind},
            )
