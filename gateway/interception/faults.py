"""What becomes of a sign-in while infrastructure is down (S10, S12; architecture rule 11)."""

import datetime as dt
from dataclasses import dataclass

import structlog

from enforcement import satisfied
from enforcement.breaker import Breaker
from enforcement.decision import Release
from enforcement.gate import Gate
from enforcement.policy import Policy
from enforcement.situation import Situation
from gateway.interception import sign_in_pages
from gateway.interception.ask_gate import situation_of
from gateway.interception.plane_cookies import PlaneCookies
from gateway.interception.sign_in_audit import SignInAudit
from gateway.interception.sign_in_metrics import Outcome, count, count_fault
from gateway.plane.observe import new_reference
from gateway.plane.verdict import Headers, Pass, Verdict
from idp_plugin.base import Exchange, SignIn
from idp_plugin.errors import IdpUnavailable
from store.audit import AuditAction
from store.errors import StoreUnavailable
from store.vault import Vault

log = structlog.get_logger("sparekey.interception")


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Answers for sign-ins that could not be decided.

    Security: a fault of one request never releases it. Breakers look for themselves, and only while one is
    open does the policy's `on_fault` answer, or a claim that this very session was covered minutes ago.
    """

    gate: Gate
    provider_breaker: Breaker
    """Opens where the recogniser's `self_check` meets `IdpUnavailable`."""
    audit: SignInAudit
    vault: Vault
    cookies: PlaneCookies

    def satisfied(self, sign_in: SignIn, release: Release, *, now: dt.datetime) -> Headers:
        """Return the cookie that says that this session was covered just now; nothing without a session."""
        if release.reason != "covered" or not sign_in.session_id:
            return ()
        subject = sign_in.subject
        claim = satisfied.Satisfied(
            subject.source, subject.id, sign_in.session_id, release.policy_version, release.person_epoch
        )
        return self.cookies.satisfied(
            satisfied.mint(claim, self.vault.signing_key(satisfied.PURPOSE), now=now)
        )

    def answer(
        self,
        error: StoreUnavailable | IdpUnavailable,
        exchange: Exchange,
        sign_in: SignIn | None,
        *,
        now: dt.datetime,
    ) -> Verdict:
        """Return what the browser gets, counted, audited and logged.

        Args:
            sign_in: None where the provider failed before anybody was recognised.
        """
        breaker = self.provider_breaker if isinstance(error, IdpUnavailable) else self.gate.breaker
        reference = new_reference()
        outcome = Outcome.FAULT_DENIED
        if breaker.failed():
            outcome = self._outcome(exchange, sign_in, reference, now)
        else:
            subject = sign_in.subject if sign_in else None
            self.audit.record(
                AuditAction.SIGN_IN_GATE_FAULT_DENIED,
                now=now,
                subject=subject,
                reference=reference,
                error=type(error).__name__,
            )
        released = outcome is not Outcome.FAULT_DENIED
        count(outcome)
        count_fault("release" if released else "deny")
        log.error(
            "sign_in_fault",
            outcome=outcome.value,
            reference=reference,
            error=type(error).__name__,
            alarm=True,
        )
        return Pass() if released else sign_in_pages.stopped(sign_in_pages.OUTAGE, reference)

    def _outcome(
        self, exchange: Exchange, sign_in: SignIn | None, reference: str, now: dt.datetime
    ) -> Outcome:
        policy = self._policy()
        if policy and sign_in and self._was_covered(exchange, sign_in, policy.version, now):
            self.audit.record(
                AuditAction.SIGN_IN_GATE_FAULT_RELEASED, now=now, subject=sign_in.subject, reference=reference
            )
            return Outcome.SATISFIED
        # The gate keeps this event until the database takes it again.
        situation = situation_of(sign_in, now=now) if sign_in else Situation(at=now)
        answer = self.gate.answer_fault(situation, reference=reference)
        return Outcome.FAULT_RELEASED if isinstance(answer, Release) else Outcome.FAULT_DENIED

    def _policy(self) -> Policy | None:
        try:
            return self.gate.current_policy()
        except StoreUnavailable:
            return self.gate.last_known_policy()

    def _was_covered(
        self, exchange: Exchange, sign_in: SignIn, policy_version: int, now: dt.datetime
    ) -> bool:
        keys = self.vault.verifying_keys(satisfied.PURPOSE)
        tokens = self.cookies.satisfied_claims(exchange.request_headers)
        claims = (satisfied.read(token, keys, now=now) for token in tokens[:1])
        subject = sign_in.subject
        return any(
            claim is not None and claim.fits(subject.source, subject.id, sign_in.session_id, policy_version)
            for claim in claims
        )
