"""What every journey begins with: start, choose and send, prove. `reset` and `unlock` add their last step.

Until the first proof nothing here depends on the person: `start` answers before anything is looked up,
codes are made for every name alike, and what leaves for whom is decided in the queue (S4, S5).
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from enforcement.policy import Policy, Purpose
from flows import verification_code
from flows.abuse.known_device import KnownDevices
from flows.abuse.proof_of_work import ProofOfWork
from flows.abuse.throttle import Throttle, address_block
from flows.audited import AUDITED
from flows.authenticators.base import Kind, Kinds, Question
from flows.errors import (
    AttemptExpired,
    AttemptMoved,
    CodeExpired,
    TooManyAttempts,
    Unavailable,
    WrongCode,
    WrongStage,
)
from flows.ids import new_id, new_reference
from flows.messaging.asked import Asked, browser_of
from flows.notices.recovery_code_jobs import USED, body_of_use
from flows.recovery.attempt import Attempt, Attempts, Challenge, Proof, Stage
from flows.recovery.eligibility import Eligibility
from flows.recovery.last_step import LastStep
from flows.recovery.moving import Move
from flows.recovery.offered_kind import OfferedKind
from flows.settings import LimitSettings
from flows.typed_name import can_be_a_name, digest_of
from store.audit import AuditAction, Detail
from store.authenticators import Authenticator
from store.database import Database, Transaction
from store.expiring import Expiring
from store.jobs import Jobs
from store.vault import Vault

RESOLVE = "reset.resolve"
DELIVER = "reset.deliver"
_LIMIT_TOLD_EVERY = dt.timedelta(hours=1)
_LOOK_UP_TAKES = dt.timedelta(seconds=5)
"""Names are looked up by then, unless the directory or the queue is in trouble."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every journey is made of."""

    database: Database
    expiring: Expiring
    vault: Vault
    jobs: Jobs
    throttle: Throttle
    work: ProofOfWork
    kinds: Kinds
    policies: Callable[[], Policy]
    """Returns the policy in force."""
    eligibility: Eligibility
    devices: KnownDevices
    limits: LimitSettings


class Journey:
    """The steps up to the last proof; its jobs are in `reset_jobs`."""

    def __init__(self, parts: Parts, purpose: Purpose, last_step: LastStep) -> None:
        """Take what follows the proofs: it is asked after the first one, too."""
        self.purpose: Purpose = purpose
        self._last_step = last_step
        self._audited = AUDITED[purpose]
        self._database = parts.database
        self._expiring = parts.expiring
        self._vault = parts.vault
        self._jobs = parts.jobs
        self._throttle = parts.throttle
        self._work = parts.work
        self._kinds = parts.kinds
        self._policies = parts.policies
        self._eligibility = parts.eligibility
        self._devices = parts.devices
        self._limits = parts.limits
        self._attempts = Attempts(parts.expiring)

    def is_offered(self) -> bool:
        """Tell whether the policy allows this to anybody; it depends on no name (S4)."""
        return bool(self._policies().proving_kinds(self.purpose))

    def start(
        self,
        identifier: str,
        *,
        address: str,
        browser: str,
        work: str,
        now: dt.datetime,
        agent: str = "",
        device: str = "",
        return_to: str = "",
    ) -> Attempt:
        """Begin an attempt for whatever was typed, and answer before it is looked up.

        Args:
            identifier: As typed, of any length and content.
            address: The client's, for limits.
            browser: The browser's secret; its proofs count in this browser alone (S15).
            work: Finished work, see `ProofOfWork.accept`; its purpose is the journey's.
            now: Aware UTC time.
            agent: The `User-Agent` field, for the audit; only names from a fixed list are kept.
            device: What the browser keeps as a known device, if anything.
            return_to: Kept for the pages.

        Raises:
            WorkNotDone: No work, or not for this.
            TooSoon: The waiting ticket's time has not come.
            TooManyAttempts: From this address block, from everywhere, or for this name.
        """
        way = self._work.accept(work, self.purpose, address, now)
        attempt = self._new_attempt(identifier, browser, device, now, return_to)
        on = attempt.device.id if attempt.device else ""
        self._throttle.start(address, now, waited=way == "waited", who=attempt.counted_as, device=on)
        where = {"block": address_block(address), "browser": browser_of(agent), "work": way.value}
        return self._begun(attempt, where, now)

    def begin(self, identifier: str, *, browser: str, device: str, now: dt.datetime) -> Attempt:
        """Begin an attempt that needs no work, because an administrator asked for it."""
        attempt = self._new_attempt(identifier, browser, device, now)
        return self._begun(attempt, {"work": "invited"}, now)

    def _begun(self, attempt: Attempt, where: Detail, now: dt.datetime) -> Attempt:
        self._attempts.create(attempt, now=now)
        detail = {"typed": attempt.typed[:16], "known": bool(attempt.device), **where}
        with self._database.transaction() as transaction:
            transaction.audit.record(
                self._audited.started, now=now, reference=attempt.reference, detail=detail
            )
        self._jobs.enqueue(RESOLVE, {"attempt": attempt.id})
        return attempt

    def read(self, attempt_id: str, *, browser: str, now: dt.datetime) -> Attempt:
        """Return where an attempt stands.

        Raises:
            AttemptExpired: None such, too old, another browser's, or begun for another purpose.
            AttemptMoved: It goes on in another browser.
        """
        attempt = self._attempts.read(attempt_id)
        if attempt is None or attempt.expires_at <= now or attempt.purpose != self.purpose:
            raise AttemptExpired
        if any(self._vault.digest_matches(browser, "browser", earlier) for earlier in attempt.moved_from):
            raise AttemptMoved
        if not self._vault.digest_matches(browser, "browser", attempt.browser):
            raise AttemptExpired
        return attempt

    def offered(self, attempt: Attempt, *, now: dt.datetime) -> tuple[OfferedKind, ...]:
        """Return what may be chosen now: the policy's kinds, after the first proof one's own with masks."""
        if not attempt.proofs:
            return tuple(offer for kind in attempt.kinds for offer in self._offers(kind))
        with self._database.reading() as transaction:
            return tuple(
                offer
                for kind in attempt.kinds
                for offer in self._offers(kind, self._masks(transaction, attempt, kind, now))
            )

    def send(
        self,
        attempt_id: str,
        kind: str,
        *,
        browser: str,
        address: str,
        now: dt.datetime,
        agent: str = "",
        way: str = "",
        destination: str = "",
    ) -> Attempt:
        """Open a challenge; for kinds that are sent, make a code for everybody and queue it.

        Args:
            attempt_id: Which attempt.
            kind: One of `offered`.
            way: One of the kind's ways; empty means its first.
            destination: What the person typed, for kinds that ask for the whole of it. Compared in the
                queue, so that any one is answered alike (S4).
            browser: The browser's secret.
            address: The client's, told in the message as its block.
            now: Aware UTC time.
            agent: The `User-Agent` field; only names from a fixed list are told.

        Raises:
            AttemptExpired: None such, or over.
            WrongStage: This kind is not offered now.
            TooSoon: Another code for this name was asked for just now.
            TooManyAttempts: Codes of the hour or wrong answers of the day are used up for this name.
        """
        attempt = self.read(attempt_id, browser=browser, now=now)
        _require_offer(attempt, kind)
        self._throttle.may_answer(attempt.counted_as, now)
        asking = self._kinds[kind]
        if not asking.ways:
            asked_for = self._ask(attempt, asking, now)
            return self._open(attempt, Challenge(kind, "", now, attempt.expires_at, asked=asked_for))
        way = way if way in asking.ways else asking.ways[0]
        self._throttle.code(attempt.counted_as, attempt.purpose, now)
        code = verification_code.new_code()
        digest = verification_code.digest(self._vault, code, bound_to=attempt.id, kind=kind)
        expires_at = min(now + dt.timedelta(minutes=self._limits.code_minutes), attempt.expires_at)
        opened = Challenge(kind, digest, now, expires_at, way=way, destination=destination)
        changed = self._open(attempt, opened)
        asked = Asked(now, address_block(address), browser_of(agent))
        body = {"attempt": attempt.id, "digest": digest, "code": code, "asked": asked.to_json()}
        self._jobs.enqueue(DELIVER, body)
        return changed

    def verify(self, attempt_id: str, answer: str, *, browser: str, now: dt.datetime) -> Attempt:
        """Check one answer and return the attempt as it now stands.

        Args:
            attempt_id: Which attempt.
            answer: As typed, untrimmed.
            browser: The browser's secret.
            now: Aware UTC time.

        Returns:
            The stored attempt, with this kind's proof added. A decoy never returns.

        Raises:
            WrongCode: With `attempts_left`; 0 ends the attempt, or the day for this name.
            CodeExpired: Too old, replaced by a newer one, or used before.
            TooManyAttempts: This name's wrong answers of 24 hours are used up.
            AttemptExpired: None such, or over.
            WrongStage: No challenge is open.
            NotPossible: Proved, and yet not possible: told only now (S4); ends the attempt.
            NotReachable: Proved, and nothing can be written now; the proof counts.
            Unavailable: Too early for a kind that is not sent; nothing was counted.

        Source: NIST SP 800-63B-4 section 3.2.2; RFC 6238 section 5.2 (accept a code once).
        """
        return self._verify(self.read(attempt_id, browser=browser, now=now), answer, now)

    def count_finding(self, attempt: Attempt, now: dt.datetime) -> None:
        """Count one candidate password that is judged while it is typed; each costs some milliseconds.

        Raises:
            TooManyAttempts: Too often within a minute.
        """
        self._throttle.finding(attempt.id, now)

    def move(self, move: Move, answer: str, *, browser: str, now: dt.datetime) -> Attempt:
        """Check the code that came with a link, and go on in the browser that typed it (S15).

        Returns:
            The stored attempt. Proofs that another browser gave are no longer among its own.

        Raises:
            CodeExpired: A newer code was asked for, or it was used before.
            AttemptExpired: None such, or over.
            WrongCode: As `verify` does, and whatever else it raises.
        """
        attempt = self._attempts.read(move.attempt)
        if attempt is None or attempt.expires_at <= now or attempt.purpose != self.purpose:
            raise AttemptExpired
        if _challenge(attempt, now).code_digest != move.code_digest:
            raise CodeExpired
        if self._vault.digest_matches(browser, "browser", attempt.browser):
            return self._verify(attempt, answer, now)
        changed = self._verify(attempt, answer, now, moved_to=self._vault.digest(browser, "browser"))
        with self._database.transaction() as transaction:
            transaction.audit.record(
                AuditAction.ATTEMPT_MOVED,
                now=now,
                person_id=changed.person_id,
                reference=changed.reference,
                detail={"purpose": changed.purpose},
            )
        return changed

    def _verify(self, attempt: Attempt, answer: str, now: dt.datetime, *, moved_to: str = "") -> Attempt:
        challenge = _challenge(attempt, now)
        kind = self._kinds[challenge.kind]
        if not kind.ways and _is_too_early(attempt, now):
            raise Unavailable
        if not kind.ways:
            # Security: who may give no answer any more makes nothing be worked out either.
            self._limited(attempt, now, self._throttle.may_answer)
        answer = self._work_out(attempt, challenge, kind, answer, now)
        left = self._limited(attempt, now, self._throttle.answer)
        believed = self._throttle.answer_of_person(
            attempt.counted_person, now, besides=attempt.counted_besides
        )
        try:
            proved = self._prove(attempt, challenge, kind, answer, believed=believed, now=now)
        except CodeExpired:
            # Whoever presses twice guesses nothing.
            self._count_right(attempt, now)
            raise
        if not proved:
            raise self._wrong(attempt, challenge, left)
        self._count_right(attempt, now)
        if kind.is_told:
            body = body_of_use(attempt.person_id or "", reference=attempt.reference, now=now)
            self._jobs.enqueue(USED, body)
        return self._advance(attempt, challenge, proved, now, moved_to)

    def _new_attempt(
        self, identifier: str, browser: str, device: str, now: dt.datetime, return_to: str = ""
    ) -> Attempt:
        policy = self._policies()
        typed = digest_of(self._vault, identifier)
        return Attempt(
            id=new_id(),
            purpose=self.purpose,
            reference=new_reference(),
            identifier=identifier.strip() if can_be_a_name(identifier) else "",
            typed=typed,
            browser=self._vault.digest(browser, "browser"),
            device=self._devices.recognise(device, typed, now),
            started_at=now,
            expires_at=now + dt.timedelta(minutes=self._limits.attempt_minutes),
            answers_allowed=self._limits.wrong_answers,
            policy_version=policy.version,
            policy_gates=policy.most_gates(self.purpose),
            policy_kinds=policy.proving_kinds(self.purpose),
            return_to=return_to,
        )

    def _masks(
        self, transaction: Transaction, attempt: Attempt, name: str, now: dt.datetime
    ) -> tuple[str, ...]:
        usable = self._eligibility.usable(transaction, attempt, name, now)
        masks = (self._kinds[name].mask(each.secret) for each in usable)
        return tuple(mask for mask in masks if mask)

    def _offers(self, name: str, masked: tuple[str, ...] = ()) -> tuple[OfferedKind, ...]:
        kind = self._kinds[name]
        ways = kind.ways if len(kind.ways) > 1 else ("",)
        return tuple(OfferedKind(name, masked, way, kind.asks_destination) for way in ways)

    def _open(self, attempt: Attempt, challenge: Challenge) -> Attempt:
        def opened(facts: Attempt) -> Attempt:
            _require_offer(facts, challenge.kind)
            return replace(facts, challenge=challenge)

        return self._attempts.change(attempt.id, opened)

    def _limited(self, attempt: Attempt, now: dt.datetime, limit: Callable[[str, dt.datetime], _T]) -> _T:
        try:
            return limit(attempt.counted_as, now)
        except TooManyAttempts:
            self._tell_limit(attempt, now)
            raise

    def _tell_limit(self, attempt: Attempt, now: dt.datetime) -> None:
        # Once an hour for each name: refusals are cheap to provoke, and must not fill the audit.
        if not self._expiring.once("limit told", attempt.typed, ttl=_LIMIT_TOLD_EVERY):
            return
        with self._database.transaction() as transaction:
            transaction.audit.record(
                self._audited.limit_reached,
                now=now,
                reference=attempt.reference,
                detail={"limit": "answers", "typed": attempt.typed[:16]},
            )

    def _prove(
        self,
        attempt: Attempt,
        challenge: Challenge,
        kind: Kind,
        answer: str,
        *,
        believed: bool,
        now: dt.datetime,
    ) -> tuple[str, ...]:
        """Return the authenticators that the answer proves, spent and audited; none when it is wrong."""
        with self._database.transaction(commit_on=(CodeExpired,)) as transaction:

            def candidates() -> tuple[Authenticator, ...]:
                usable = self._eligibility.usable(transaction, attempt, kind.name, now)
                sent = tuple(each for each in usable if not kind.ways or each.id in challenge.sent_to)
                return sent if believed else ()

            question = self._question(attempt, challenge, candidates, believed=believed)
            proved = kind.prove(question, answer, transaction, now=now)
            transaction.audit.record(
                self._audited.proof_given if proved else self._audited.proof_refused,
                now=now,
                person_id=attempt.person_id,
                reference=attempt.reference,
                detail={"kind": kind.name},
            )
        return proved

    def _work_out(
        self, attempt: Attempt, challenge: Challenge, kind: Kind, answer: str, now: dt.datetime
    ) -> str:
        def candidates() -> tuple[Authenticator, ...]:
            with self._database.reading() as transaction:
                return self._eligibility.usable(transaction, attempt, kind.name, now)

        return kind.work_out(self._question(attempt, challenge, candidates), answer)

    def _question(
        self,
        attempt: Attempt,
        challenge: Challenge,
        candidates: Callable[[], tuple[Authenticator, ...]],
        *,
        believed: bool = True,
    ) -> Question:
        return Question(
            attempt.id,
            challenge.code_digest,
            candidates,
            challenge.asked,
            purpose=attempt.purpose,
            person_id=attempt.person_id or "" if believed else "",
            reference=attempt.reference,
        )

    def _ask(self, attempt: Attempt, kind: Kind, now: dt.datetime) -> str:
        with self._database.transaction() as transaction:

            def candidates() -> tuple[Authenticator, ...]:
                # Security: what a stranger is asked depends on no person; a browser that is known for the
                # very person learns nothing new (S4, decision 23).
                if not attempt.proofs and not attempt.is_on_known_device:
                    return ()
                return self._eligibility.usable(transaction, attempt, kind.name, now)

            opened = Challenge(kind.name, "", now, attempt.expires_at)
            return kind.ask(self._question(attempt, opened, candidates), transaction, now=now)

    def _wrong(self, attempt: Attempt, challenge: Challenge, left_today: int) -> WrongCode:
        def counted(facts: Attempt) -> Attempt:
            _require_same(facts, challenge)
            return replace(facts, wrong_answers=facts.wrong_answers + 1)

        changed = self._attempts.change(attempt.id, counted)
        return WrongCode(min(changed.attempts_left, left_today))

    def _count_right(self, attempt: Attempt, now: dt.datetime) -> None:
        self._throttle.right(attempt.counted_as, attempt.counted_person, now, besides=attempt.counted_besides)

    def _advance(
        self, attempt: Attempt, challenge: Challenge, proved: tuple[str, ...], now: dt.datetime, moved_to: str
    ) -> Attempt:
        proof = Proof(challenge.kind, proved, now)

        def advanced(facts: Attempt) -> Attempt:
            _require_same(facts, challenge)
            return (facts.moved_to(moved_to) if moved_to else facts).with_proof(proof)

        changed = self._attempts.change(attempt.id, advanced)
        return self._last_step.prepare(changed, now) if len(changed.proofs) == 1 else changed


def _require_offer(attempt: Attempt, kind: str) -> None:
    if attempt.stage is Stage.OVER:
        raise AttemptExpired
    if attempt.stage not in {Stage.CHOOSE, Stage.PROVE} or kind not in attempt.kinds:
        raise WrongStage


def _is_too_early(attempt: Attempt, now: dt.datetime) -> bool:
    # Security: by the clock alone. Asking again until the look-up is done would measure it, and with it
    # whether the directory knows the name; who is not looked up by then answers like a decoy.
    return not attempt.proofs and now < attempt.started_at + _LOOK_UP_TAKES


def _challenge(attempt: Attempt, now: dt.datetime) -> Challenge:
    if attempt.stage is Stage.OVER:
        raise AttemptExpired
    if attempt.stage is not Stage.PROVE or attempt.challenge is None:
        raise WrongStage
    if attempt.challenge.expires_at <= now:
        raise CodeExpired
    return attempt.challenge


def _require_same(facts: Attempt, challenge: Challenge) -> None:
    """Require that the challenge that was answered is still the open one."""
    if facts.stage is Stage.OVER:
        raise AttemptExpired
    open_now = facts.challenge
    if open_now is None or open_now.spent:
        raise CodeExpired
    if (open_now.sent_at, open_now.code_digest) != (challenge.sent_at, challenge.code_digest):
        raise CodeExpired
