"""Who may reset or unlock: asked when an attempt is looked up, and again when it claims its write (S17)."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from enforcement.policy import Policy, Purpose, Rule
from enforcement.proof import NEVER_REGISTERED
from enforcement.requirement import Facts, may_prove
from flows.authenticators.base import Kinds
from flows.authenticators.recovery_codes import is_used_up
from flows.errors import AttemptExpired, NotPossible, Unavailable
from flows.recovery.attempt import Attempt
from flows.registering.binding import HANDED_OUT
from flows.situations import situation_of
from idp_plugin.base import Directory, Identity
from idp_plugin.errors import IdpError
from store.authenticators import Authenticator
from store.database import Database, Transaction
from store.people import Person

_NOBODY = "0" * 32


@dataclass(frozen=True, slots=True)
class Eligible:
    """Somebody who may do what was asked for now."""

    identity: Identity
    person: Person
    rule: Rule
    kinds: tuple[str, ...]
    """Kinds that prove something now, in the rule's order."""


class Eligibility:
    """Joins directory, policy and what is registered."""

    def __init__(
        self,
        *,
        database: Database,
        directory: Directory,
        policies: Callable[[], Policy],
        kinds: Kinds,
        privileged_groups: frozenset[str] = frozenset(),
        opened_groups: frozenset[str] = frozenset(),
        opened_in_directories: frozenset[str] = frozenset(),
    ) -> None:
        """Take the parts.

        Args:
            privileged_groups: Groups and roles that give power here; whoever is in one is privileged (S18).
            opened_groups: Those of them that the settings open to the stronger rule.
            opened_in_directories: What the settings open in any directory; whether a person's power is among
                it, the directory says.
        """
        self._database = database
        self._directory = directory
        self._policies = policies
        self._kinds = kinds
        self._privileged_groups = privileged_groups
        self._opened_groups = opened_groups
        self._opened_in_directories = opened_in_directories

    def find(self, identifier: str, purpose: Purpose, now: dt.datetime) -> Eligible | None:
        """Return whom a typed identifier names, if that person may do this; None makes a decoy.

        A disabled account is found like others: its owner is told after the first proof (S4).

        Raises:
            IdpError: The directory did not answer, or an operator must act.
        """
        identity = self._directory.find(identifier) if identifier else None
        if identity is None or self._is_closed(identity):
            return None
        rule = self._rule(identity)
        if rule is None:
            return None
        with self._database.reading() as transaction:
            person = transaction.people.by_subject(identity.subject.source, identity.subject.id)
            registered = transaction.authenticators.of(person.id) if person else ()
        if person is None and not NEVER_REGISTERED.isdisjoint(rule.proving_kinds(purpose)):
            # Whoever never registered anything may still be handed a code, in this very attempt.
            person = self._recorded(identity, now)
        authenticators = self._held(registered, identity)
        if person is None or not _may_prove(rule, person, authenticators, purpose, now):
            return None
        usable = {each.kind for each in authenticators if each.usable(now)} | NEVER_REGISTERED
        kinds = tuple(kind for kind in rule.proving_kinds(purpose) if kind in usable)
        return Eligible(identity, person, rule, kinds)

    def usable(
        self, transaction: Transaction, attempt: Attempt, kind: str, now: dt.datetime
    ) -> tuple[Authenticator, ...]:
        """Return what may prove the attempt's person now: never anything for a decoy.

        Nothing either once recovery is frozen, or anything else was finished since the look-up (S16).
        """
        # Security: a decoy asks the database the same questions about nobody.
        person = transaction.people.get(attempt.person_id or _NOBODY)
        authenticators = transaction.authenticators.of(attempt.person_id or _NOBODY)
        if person is None or person.frozen_at is not None or person.epoch != attempt.epoch:
            return ()
        # Security: strangers are offered every rule's kinds; what one's own does not list proves nothing.
        if kind not in attempt.own_kinds:
            return ()
        own = tuple(each for each in authenticators if each.kind == kind and each.usable(now))
        return tuple(each for each in own if _may_stand_in(attempt, each))

    def confirm(self, attempt: Attempt, now: dt.datetime) -> tuple[Identity, Rule]:
        """Read everything again that the attempt's proofs rest on (S17).

        Returns:
            The person as the directory knows them now, and the rule that holds now.

        Raises:
            NotPossible: What was true at the look-up is true no more, or was never allowed.
            AttemptExpired: The person's recovery data changed, or another change was finished, since.
            Unavailable: The directory did not answer; nothing was changed.
        """
        identity = self._read_again(attempt)
        rule = self._rule(identity)
        if rule is None or not rule.allows(attempt.purpose):
            raise NotPossible("not_covered")
        with self._database.reading() as transaction:
            self._confirm_proofs(transaction, attempt, (identity, rule), now)
        return identity, rule

    def _read_again(self, attempt: Attempt) -> Identity:
        if attempt.subject is None:
            raise AttemptExpired
        try:
            identity = self._directory.get(attempt.subject)
        except IdpError as error:
            raise Unavailable from error
        # A name that was deleted and made anew is somebody else (design rule 9).
        if identity is None or identity.subject != attempt.subject or identity.account != attempt.account:
            raise NotPossible("disabled")
        if not identity.enabled:
            raise NotPossible("disabled")
        if self._is_closed(identity):
            raise NotPossible("privileged")
        return identity

    def _confirm_proofs(
        self, transaction: Transaction, attempt: Attempt, current: tuple[Identity, Rule], now: dt.datetime
    ) -> None:
        identity, rule = current
        person = transaction.people.get(attempt.person_id or _NOBODY)
        if person is None or person.epoch != attempt.epoch:
            raise AttemptExpired
        # What is frozen is recovery: whoever is signed in and knows the password may still change it.
        if person.frozen_at is not None and not attempt.signed_in:
            raise NotPossible("frozen")
        # A recovery code that was the last one ended its set by the very proof that is confirmed here;
        # whatever else suspends something raises the epoch.
        standing = {
            each.id
            for each in self._held(transaction.authenticators.of(person.id), identity)
            if (each.usable(now) or is_used_up(each)) and _may_stand_in(attempt, each)
        }
        kinds = rule.proving_kinds(attempt.purpose)
        for proof in attempt.proofs:
            # What is handed out is used up by its proof, and stands nowhere.
            is_standing = proof.kind in NEVER_REGISTERED or standing.issuperset(proof.authenticator_ids)
            if proof.kind not in kinds or not is_standing:
                raise AttemptExpired

    def _recorded(self, identity: Identity, now: dt.datetime) -> Person:
        with self._database.transaction() as transaction:
            return transaction.people.ensure(identity.subject.source, identity.subject.id, now=now)

    def _held(
        self, authenticators: tuple[Authenticator, ...], identity: Identity
    ) -> tuple[Authenticator, ...]:
        """Return those that the directory still vouches for, where it does (S2)."""
        return tuple(
            each for each in authenticators if self._kinds[each.kind].holds(each.secret, lambda: identity)
        )

    def is_privileged(self, identity: Identity) -> bool:
        """Tell whether somebody's password opens power anywhere, here included (S18)."""
        return identity.privileged or not self._privileged_groups.isdisjoint(identity.groups | identity.roles)

    def _is_closed(self, identity: Identity) -> bool:
        """Tell whether any of somebody's power is not opened to the stronger rule."""
        # Security: the settings are one person's word; what they open, the policy opens besides (S23).
        opens = self._policies().opens
        here = self._privileged_groups & (identity.groups | identity.roles)
        is_open_here = all(power in self._opened_groups and opens(power) for power in here)
        # The directory does not say by which group: none counts before all are opened.
        there = self._opened_in_directories
        is_open_there = identity.opened and bool(there) and all(map(opens, there))
        return (identity.privileged and not is_open_there) or not is_open_here

    def _rule(self, identity: Identity) -> Rule | None:
        rule = self._policies().rule_for(situation_of(identity))
        return rule.strengthened() if rule and self.is_privileged(identity) else rule


def _may_stand_in(attempt: Attempt, authenticator: Authenticator) -> bool:
    # Security: what a helpdesk had a part in is no second proof beside its code (S23).
    has_code = any(proof.kind in NEVER_REGISTERED for proof in attempt.proofs)
    return not has_code or authenticator.provenance != HANDED_OUT


def too_young(identity: Identity, now: dt.datetime) -> bool:
    """Tell whether the directory would refuse because the password was changed just now."""
    return identity.may_change_password_after is not None and identity.may_change_password_after > now


def _may_prove(
    rule: Rule,
    person: Person,
    authenticators: tuple[Authenticator, ...],
    purpose: Purpose,
    now: dt.datetime,
) -> bool:
    frozen = person.frozen_at is not None
    return may_prove(rule, Facts.from_authenticators(authenticators, frozen=frozen), purpose, now=now)
