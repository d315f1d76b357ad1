"""What a journey does after its pages have answered: look the name up, send the code."""

import datetime as dt
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog

from flows.abuse.familiarity import Familiarity
from flows.abuse.throttle import Throttle
from flows.audited import AUDITED
from flows.authenticators.base import Kind, Kinds
from flows.errors import AttemptExpired
from flows.messaging.asked import Asked
from flows.messaging.dispatch import Dispatch
from flows.messaging.render import Render
from flows.passwords.names import account_names
from flows.recovery.attempt import Attempt, Attempts, Challenge, Stage
from flows.recovery.eligibility import Eligibility, Eligible
from flows.recovery.moving import Moves
from idp_plugin.errors import IdpError
from store.authenticators import Authenticator
from store.database import Database
from store.expiring import Expiring

_TURNS = 64
"""Names that threads of one process look up at the same time; two attempts seldom share a turn."""
_log = structlog.get_logger(__name__)


class ResetJobs:
    """The jobs of `flows.recovery.journey`, of whatever purpose."""

    def __init__(
        self,
        *,
        database: Database,
        expiring: Expiring,
        eligibility: Eligibility,
        kinds: Kinds,
        throttle: Throttle,
        dispatch: Dispatch,
        render: Render,
        moves: Moves,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._database = database
        self._attempts = Attempts(expiring)
        self._eligibility = eligibility
        self._kinds = kinds
        self._throttle = throttle
        self._dispatch = dispatch
        self._render = render
        self._moves = moves
        self._clock = clock
        self._turns = tuple(threading.Lock() for _ in range(_TURNS))

    def resolve(self, body: Mapping[str, Any]) -> None:
        """Look up whom the typed name means, and note it in the attempt; an error means: again later."""
        attempt = self._attempts.read(body["attempt"])
        if attempt is not None and not self._is_over(attempt):
            self._resolved(attempt)

    def deliver(self, body: Mapping[str, Any]) -> None:
        """Send the code of the open challenge, if the person may have it; decoys get nothing."""
        attempt = self._attempts.read(body["attempt"])
        if attempt is None or self._is_over(attempt):
            return
        attempt = self._resolved(attempt)
        challenge = attempt.challenge
        if challenge is None or not self._is_due(attempt, challenge, body["digest"]):
            return
        receivers = self._receivers(attempt, challenge.kind, challenge.destination)
        if receivers and self._mark(attempt, challenge, receivers):
            self._post(attempt, challenge, receivers, body)

    def _resolved(self, attempt: Attempt) -> Attempt:
        """Return the attempt with its name looked up: once, however soon a code is asked for."""
        if attempt.resolved:
            return attempt
        with self._turns[hash(attempt.id) % _TURNS]:
            newest = self._attempts.read(attempt.id)
            return newest if newest and newest.resolved else self._resolve(attempt)

    def _resolve(self, attempt: Attempt) -> Attempt:
        try:
            eligible = self._eligibility.find(attempt.identifier, attempt.purpose, self._clock())
        except IdpError as error:
            _log.warning("reset_not_resolved", reference=attempt.reference, cause=type(error).__name__)
            raise
        return self._attempts.change(attempt.id, lambda facts: _resolved(facts, eligible))

    def _is_over(self, attempt: Attempt) -> bool:
        return attempt.stage is Stage.OVER or attempt.expires_at <= self._clock()

    def _is_due(self, attempt: Attempt, challenge: Challenge, digest: str) -> bool:
        if attempt.is_decoy or attempt.finished or challenge.spent or challenge.sent_to:
            return False
        return challenge.code_digest == digest and challenge.expires_at > self._clock()

    def _receivers(self, attempt: Attempt, name: str, destination: str) -> tuple[Authenticator, ...]:
        """Return the usable authenticators that the person's silent budget still reaches (S5)."""
        now, kind = self._clock(), self._kinds[name]
        with self._database.reading() as transaction:
            usable = self._eligibility.usable(transaction, attempt, name, now)
        if kind.asks_destination:
            usable = tuple(each for each in usable if kind.is_destination(each.secret, destination))
        receivers = tuple(each for each in usable if self._may_get(attempt, kind, each, now))
        if len(receivers) < len(usable):
            self._record_limit(attempt, now)
        return receivers

    def _may_get(self, attempt: Attempt, kind: Kind, receiver: Authenticator, now: dt.datetime) -> bool:
        return self._throttle.code_to_person(
            attempt.person_id or "",
            attempt.purpose,
            now,
            destination=next(iter(kind.lookups(receiver.secret)), ""),
            known=attempt.is_on_known_device,
        )

    def _mark(self, attempt: Attempt, challenge: Challenge, receivers: tuple[Authenticator, ...]) -> bool:
        """Note who gets the code before it leaves: only what was sent can prove anything."""
        sent_to = tuple(each.id for each in receivers)

        def mark(facts: Attempt) -> Attempt:
            if facts.challenge is None or facts.challenge.code_digest != challenge.code_digest:
                raise AttemptExpired
            return replace(facts, challenge=replace(facts.challenge, sent_to=sent_to))

        try:
            self._attempts.change(attempt.id, mark)
        except AttemptExpired:
            # A newer code was asked for meanwhile, or the attempt is gone: this one is void.
            return False
        return True

    def _post(
        self,
        attempt: Attempt,
        challenge: Challenge,
        receivers: tuple[Authenticator, ...],
        body: Mapping[str, Any],
    ) -> None:
        draft = self._render.in_language(attempt.locale).attempt_code(
            attempt.purpose,
            body["code"],
            name=attempt.display_name,
            minutes=round((challenge.expires_at - challenge.sent_at).total_seconds() / 60),
            asked=Asked.from_json(body["asked"]),
            link=self._moves.link(attempt, challenge, now=self._clock()),
            reference=attempt.reference,
        )
        for receiver in receivers:
            destination = self._kinds[challenge.kind].destination(receiver.secret)
            message = draft.to(
                destination, AUDITED[attempt.purpose].code, attempt.reference, channel=challenge.way
            )
            self._dispatch.post(
                message,
                person_id=attempt.person_id,
                until=challenge.expires_at,
                familiarity=_familiarity(attempt),
            )

    def _record_limit(self, attempt: Attempt, now: dt.datetime) -> None:
        with self._database.transaction() as transaction:
            transaction.audit.record(
                AUDITED[attempt.purpose].limit_reached,
                now=now,
                person_id=attempt.person_id,
                reference=attempt.reference,
                detail={"limit": "messages"},
            )


def _familiarity(attempt: Attempt) -> Familiarity:
    # What is registered was compared before: the number that was typed is the person's own (S4).
    return Familiarity.KNOWN if attempt.is_on_known_device else Familiarity.REGISTERED


def _resolved(facts: Attempt, eligible: Eligible | None) -> Attempt:
    if facts.resolved:
        return facts
    if eligible is None:
        return replace(facts, resolved=True)
    return replace(
        facts,
        resolved=True,
        subject=eligible.identity.subject,
        account=eligible.identity.account,
        person_id=eligible.person.id,
        epoch=eligible.person.epoch,
        own_rule=eligible.rule.proofs[facts.purpose],
        own_kinds=eligible.kinds,
        display_name=eligible.identity.display_name,
        locale=eligible.identity.locale,
        names=account_names(eligible.identity),
    )
