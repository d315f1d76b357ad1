"""Writes a binding whose code was right: one transaction, everything that it rests on read again."""

import datetime as dt
from dataclasses import replace

from enforcement.requirement import Facts, gap
from flows.authenticators.base import Accepted, Kinds
from flows.errors import AttemptExpired, NotPossible, Refused, UnusableAddress
from flows.registering.binding import HANDED_OUT, require_not_shared, require_room, trusted_from
from flows.registering.member import Member
from flows.registering.pending import Question
from flows.registering.standing import Standing
from store.audit import AuditAction
from store.authenticators import Authenticator
from store.database import Database, Transaction


class Binder:
    """Binds what was proved."""

    def __init__(self, *, database: Database, kinds: Kinds, lost_waits: dt.timedelta) -> None:
        self._database = database
        self._kinds = kinds
        self._lost_waits = lost_waits

    def bind(
        self,
        member: Member,
        standing: Standing,
        question: Question,
        accepted: Accepted,
        now: dt.datetime,
    ) -> Authenticator:
        """Bind what a question was about.

        Args:
            member: Who, and what their sign-in states.
            standing: As read when the answer came.
            question: Answered rightly and closed.
            accepted: The right answer, and what is kept.
            now: Aware UTC time.

        Raises:
            AttemptExpired: It was bound before.
            UnusableAddress: Others, or this person, were faster.
            ProofRequired: A usable method came into being meanwhile.
            NotPossible: `frozen`.
        """
        with self._database.transaction(commit_on=(Refused,)) as transaction:
            if not transaction.spent.spend("question", question.id, now=now):
                raise AttemptExpired
            standing = _read_again(transaction, standing, question, now)
            voided = self._voided(standing, question)
            added = self._add(transaction, member, (standing, question), accepted.kept, now)
            self._kinds[question.kind].bound(transaction, added, accepted.answer, now=now)
            for authenticator_id in voided:
                transaction.authenticators.remove(authenticator_id)
            own = transaction.authenticators.of(standing.person.id)
            facts = Facts.from_authenticators(
                own,
                frozen=False,
                doubts=transaction.people.doubts(standing.person.id),
                seen_at=standing.person.seen_at,
            )
            # Security: as long as anything is missing or in doubt, "later" stays used up.
            if not gap(standing.rule, facts, now=now):
                transaction.people.clear_postponements(standing.person.id)
            _record(transaction, standing, question, added, now, replaced=bool(voided))
        return added

    def _add(
        self,
        transaction: Transaction,
        member: Member,
        asked: tuple[Standing, Question],
        kept: bytes,
        now: dt.datetime,
    ) -> Authenticator:
        standing, question = asked
        voided = self._voided(standing, question)
        require_room(question.kind, [each for each in standing.own if each.id not in voided])
        mine = {(each.kind, each.secret) for each in standing.own}
        if (question.kind, kept) in mine:
            raise UnusableAddress("registered")
        return transaction.authenticators.add(
            standing.person.id,
            question.kind,
            kept,
            now=now,
            trusted_from=trusted_from(
                standing.binding_rule,
                proved=standing.has_proved,
                second_factor=member.has_second_factor,
                lost=question.lost and standing.has_usable,
                now=now,
                lost_waits=self._lost_waits,
            ),
            provenance=HANDED_OUT if standing.is_handed_out else "self",
            lookup=self._lookup(transaction, standing, question.kind, kept),
        )

    def _lookup(self, transaction: Transaction, standing: Standing, kind: str, kept: bytes) -> str:
        lookups = self._kinds[kind].lookups(kept)
        if not lookups:
            return ""
        require_not_shared(transaction, kind, lookups, standing.binding_rule)
        return lookups[0]

    def _voided(self, standing: Standing, question: Question) -> tuple[str, ...]:
        """Return the ids of what goes when this comes."""
        voided = self._kinds[question.kind].voids(standing.own, proved=standing.has_proved)
        return (*(each.id for each in voided), *((question.replaces,) if question.replaces else ()))


def _read_again(
    transaction: Transaction, standing: Standing, question: Question, now: dt.datetime
) -> Standing:
    person = transaction.people.get(standing.person.id)
    if person is None or person.frozen_at is not None:
        raise NotPossible("frozen")
    own = transaction.authenticators.of(person.id)
    has_usable = any(each.usable(now) for each in own)
    newest = replace(standing, person=person, own=own, has_usable=has_usable)
    newest.require_proof(lost=question.lost, replaces=question.replaces)
    return newest


def _record(
    transaction: Transaction,
    standing: Standing,
    question: Question,
    added: Authenticator,
    now: dt.datetime,
    *,
    replaced: bool,
) -> None:
    transaction.audit.record(
        AuditAction.REGISTRATION_AUTHENTICATOR_ADDED,
        now=now,
        person_id=standing.person.id,
        reference=question.reference,
        detail={
            "kind": added.kind,
            "number": added.number,
            "trusted_from": added.trusted_from.isoformat(),
            "proved": standing.has_proved,
            "lost": question.lost,
            "replaced": replaced,
        },
    )
