"""Where a signed-in person stands: their record, their rule, what they have, what they may change."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from enforcement.policy import Policy, Rule
from enforcement.requirement import Facts, gap
from flows.errors import AttemptExpired, LastMethod, NotPossible, ProofRequired, Unavailable
from flows.registering.member import Member
from flows.registering.step_up import StepUp
from idp_plugin.base import Directory, Identity
from idp_plugin.errors import IdpError
from store.authenticators import Authenticator
from store.database import Database
from store.people import Person


@dataclass(frozen=True, slots=True)
class Standing:
    """One moment's facts of somebody who may change their recovery data."""

    person: Person
    rule: Rule
    """The one that covers the held sign-in, or a sign-in to no application in particular."""
    binding_rule: Rule
    """The same with the strictest terms of binding that the person meets at any application."""
    own: tuple[Authenticator, ...]
    has_usable: bool
    """Whether anything registered could prove something now."""
    has_proved: bool
    """Whether this portal session did prove something just now."""
    is_handed_out: bool = False
    """Whether that was a code which a helpdesk had handed out."""

    def authenticator(self, authenticator_id: str) -> Authenticator:
        """Return one of the person's own.

        Raises:
            AttemptExpired: It is gone, or somebody else's.
        """
        for each in self.own:
            if each.id == authenticator_id:
                return each
        raise AttemptExpired

    def without(self, authenticator_id: str) -> tuple[Authenticator, ...]:
        """Return the person's authenticators but one."""
        return tuple(each for each in self.own if each.id != authenticator_id)

    def require_kind(self, kind: str) -> None:
        """Require that the rule lets this kind be registered.

        Raises:
            NotPossible: `not_covered`.
        """
        if kind not in self.rule.register_kinds:
            raise NotPossible("not_covered")

    def require_proof(self, *, lost: bool, replaces: str = "") -> None:
        """Require what S1 asks before something is added.

        Raises:
            ProofRequired: A usable method exists and was not proved; or something is to be replaced
                unproved, because old methods stay where none of them can be given.
            AttemptExpired: What is to be replaced is gone.
        """
        if replaces:
            self.authenticator(replaces)
        if self.has_proved:
            return
        if replaces or (self.has_usable and not lost):
            raise ProofRequired

    def require_enough_without(self, removed: Authenticator, now: dt.datetime) -> None:
        """Require that a removal leaves no more lacking than now.

        Raises:
            LastMethod: It would.
        """
        before = gap(self.rule, Facts.from_authenticators(self.own, frozen=False), now=now)
        after = gap(self.rule, Facts.from_authenticators(self.without(removed.id), frozen=False), now=now)
        if after.more > before.more:
            raise LastMethod


class Standings:
    """Reads where people stand."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        policies: Callable[[], Policy],
        step_up: StepUp,
    ) -> None:
        self._database = database
        self._directory = directory
        self._policies = policies
        self._step_up = step_up

    def rule(self, member: Member, now: dt.datetime) -> Rule | None:
        """Return the rule that covers the person now.

        Where several may be meant, because something of the held sign-in is unknown, the first that asks for
        more: by that one the gate holds it.
        """
        situation = member.situation(now)
        if situation.at is None:
            return self._policies().rule_for(situation)
        possible = [rule for rule in self._policies().possible_rules(situation) if rule]
        if len(possible) < 2:
            return possible[0] if possible else None
        facts = self._facts(member)
        return next((rule for rule in possible if rule.required and gap(rule, facts, now=now)), possible[0])

    def _facts(self, member: Member) -> Facts:
        with self._database.reading() as transaction:
            person = transaction.people.by_subject(member.subject.source, member.subject.id)
            if person is None:
                return Facts()
            return Facts.from_authenticators(
                transaction.authenticators.of(person.id),
                frozen=person.frozen_at is not None,
                doubts=transaction.people.doubts(person.id),
                seen_at=person.seen_at,
            )

    def read(self, member: Member, now: dt.datetime) -> Standing:
        """Return where somebody stands who is about to change recovery data, recording them if new.

        Raises:
            NotPossible: `not_covered` or `frozen`.
        """
        rule = self.rule(member, now)
        if rule is None:
            raise NotPossible("not_covered")
        with self._database.transaction() as transaction:
            person = transaction.people.ensure(member.subject.source, member.subject.id, now=now)
            own = transaction.authenticators.of(person.id)
        if person.frozen_at is not None:
            raise NotPossible("frozen")
        has_usable, given = any(each.usable(now) for each in own), self._step_up.given(member)
        return Standing(
            person=person,
            rule=rule,
            binding_rule=_strictest_binding(self._policies(), member, rule),
            own=own,
            has_usable=has_usable,
            has_proved=given is not None,
            is_handed_out=given is not None and given.handed_out,
        )

    def identity(self, member: Member) -> Identity | None:
        """Return what the directory says of the person; None where it does not know them.

        Raises:
            Unavailable: It does not answer.
        """
        try:
            return self._directory.get(member.subject)
        except IdpError as error:
            raise Unavailable from error

    def identity_if_possible(self, member: Member) -> Identity | None:
        """Return the same, and None where the directory does not answer."""
        try:
            return self.identity(member)
        except Unavailable:
            return None


def _strictest_binding(policy: Policy, member: Member, rule: Rule) -> Rule:
    """Return the rule with the longest trust delay and the fewest people for each address.

    Security: whoever begins a sign-in chooses its application, and with it the rule; what is bound under it
    proves the same everywhere.
    """
    met = [rule, *(each for each in policy.possible_rules(member.person) if each)]
    return rule.model_copy(
        update={
            "trust_delay_hours": max(each.trust_delay_hours for each in met),
            "people_per_address": min(each.people_per_address for each in met),
        }
    )
