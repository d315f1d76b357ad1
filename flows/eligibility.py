"""Who may reset: asked when an attempt is looked up, and again when it claims its write (S17)."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from enforcement.policy import Policy, Rule
from enforcement.requirement import Facts, may_reset
from flows.attempt import Attempt
from flows.errors import AttemptExpired, NotPossible, Unavailable
from idp_plugin.base import Directory, Identity
from idp_plugin.errors import IdpError
from store.authenticators import Authenticator
from store.database import Database, Transaction
from store.people import Person

_NOBODY = "0" * 32


@dataclass(frozen=True, slots=True)
class Eligible:
    """Somebody who may reset the password now."""

    identity: Identity
    person: Person
    rule: Rule
    kinds: tuple[str, ...]
    """Kinds that prove something now, in the rule's order."""


class Eligibility:
    """Joins directory, policy and what is registered."""

    def __init__(self, *, database: Database, directory: Directory, policies: Callable[[], Policy]) -> None:
        self._database = database
        self._directory = directory
        self._policies = policies

    def find(self, identifier: str, now: dt.datetime) -> Eligible | None:
        """Return whom a typed identifier names, if that person may reset; None makes a decoy.

        A disabled account is found like others: its owner is told after the first proof (S4).

        Raises:
            IdpError: The directory did not answer, or an operator must act.
        """
        identity = self._directory.find(identifier) if identifier else None
        if identity is None or identity.privileged:
            return None
        rule = self._rule(identity)
        if rule is None:
            return None
        with self._database.reading() as transaction:
            person = transaction.people.by_subject(identity.subject.source, identity.subject.id)
            authenticators = transaction.authenticators.of(person.id) if person else ()
        if person is None or not _may_reset(rule, person, authenticators, now):
            return None
        usable = {each.kind for each in authenticators if each.usable(now)}
        return Eligible(identity, person, rule, tuple(kind for kind in rule.reset_kinds if kind in usable))

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
        return tuple(each for each in authenticators if each.kind == kind and each.usable(now))

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
        if rule is None or not rule.reset_allowed:
            raise NotPossible("not_covered")
        with self._database.reading() as transaction:
            self._confirm_proofs(transaction, attempt, rule, now)
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
        if identity.privileged:
            raise NotPossible("privileged")
        return identity

    def _confirm_proofs(
        self, transaction: Transaction, attempt: Attempt, rule: Rule, now: dt.datetime
    ) -> None:
        person = transaction.people.get(attempt.person_id or _NOBODY)
        if person is None or person.epoch != attempt.epoch:
            raise AttemptExpired
        if person.frozen_at is not None:
            raise NotPossible("frozen")
        usable = {each.id for each in transaction.authenticators.of(person.id) if each.usable(now)}
        for proof in attempt.proofs:
            if proof.kind not in rule.reset_kinds or not usable.issuperset(proof.authenticator_ids):
                raise AttemptExpired

    def _rule(self, identity: Identity) -> Rule | None:
        return self._policies().rule_for(groups=identity.groups, roles=identity.roles)


def too_young(identity: Identity, now: dt.datetime) -> bool:
    """Tell whether the directory would refuse because the password was changed just now."""
    return identity.may_change_password_after is not None and identity.may_change_password_after > now


def _may_reset(
    rule: Rule, person: Person, authenticators: tuple[Authenticator, ...], now: dt.datetime
) -> bool:
    frozen = person.frozen_at is not None
    return may_reset(rule, Facts.from_authenticators(authenticators, frozen=frozen), now=now)
