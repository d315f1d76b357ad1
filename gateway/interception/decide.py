"""One authorization answer, decided: who it is, what the gate says, and what the browser gets.

Blocking; runs in a worker thread.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import structlog

from enforcement.decision import Deny, Interrupt, Release
from enforcement.gate import Gate
from gateway.interception import sign_in_pages
from gateway.interception.ask_gate import ask_gate
from gateway.interception.authorization_request import (
    AuthorizationRequest,
    ReleasePlan,
    client_of_step,
    is_of_step,
)
from gateway.interception.cas_request import cas_client, without_ticket
from gateway.interception.faults import Faults
from gateway.interception.hold import Holds, application_of
from gateway.interception.loop_guard import LoopGuard
from gateway.interception.plane_cookies import Browser, PlaneCookies
from gateway.interception.remembered import RememberedRequests
from gateway.interception.saml_passive import PassiveRefusals
from gateway.interception.saml_request import SamlRequest, saml_client
from gateway.interception.sign_in_audit import SignInAudit
from gateway.interception.sign_in_metrics import SESSION_MISSES, Outcome, count, count_reports
from gateway.interception.silent_refusal import SilentRefusal
from gateway.plane.observe import new_reference
from gateway.plane.verdict import Headers, Pass, Replace, Verdict
from idp_plugin.base import (
    AuthorizationAnswer,
    Exchange,
    Resumption,
    SignIn,
    SignInRecogniser,
    Unrecognised,
)
from idp_plugin.errors import IdpUnavailable
from store.audit import AuditAction
from store.errors import StoreUnavailable

log = structlog.get_logger("sparekey.interception")


MakeClaim = Callable[[SignIn, AuthorizationAnswer, Release, dt.datetime], Headers]
"""Returns what a browser is given beside a release, for a native data plane."""


def no_claim(sign_in: SignIn, answer: AuthorizationAnswer, release: Release, now: dt.datetime) -> Headers:
    """Give nothing: there is no native data plane."""
    del sign_in, answer, release, now
    return ()


@dataclass(frozen=True, slots=True)
class Answered:
    """An authorization answer with everything that was known when it arrived."""

    exchange: Exchange
    answer: AuthorizationAnswer
    browser: Browser
    request: AuthorizationRequest | None
    """The request whose own response this answer is; None where it must be looked up."""
    client_address: str = ""
    """Where the browser is, after trusted proxies were believed."""
    is_silent: bool = False
    """Whether nobody would see a page in place of this answer."""
    saml: SamlRequest | None = None
    """As `request`, where it came by SAML."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider:
    """Decides about authorization answers."""

    recogniser: SignInRecogniser
    gate: Gate
    holds: Holds
    remembered: RememberedRequests
    guard: LoopGuard
    faults: Faults
    audit: SignInAudit
    cookies: PlaneCookies
    silent: SilentRefusal
    passive: PassiveRefusals
    hold_address: str
    """Public address under which holds are shown: the origin, our prefix and `/hold`."""
    clock: Callable[[], dt.datetime]
    claim: MakeClaim = no_claim

    def miss(self, status: int) -> Verdict:
        """Refuse a response that begins a session and is no answer that we know (S8)."""
        SESSION_MISSES.inc()
        reference = new_reference()
        log.error("session_missed", alarm=True, reference=reference, status=status)
        self.audit.record(
            AuditAction.SIGN_IN_SESSION_MISSED, now=self.clock(), reference=reference, status=status
        )
        return sign_in_pages.stopped(sign_in_pages.UNVERIFIED, reference)

    def decide(self, answered: Answered) -> Verdict:
        """Return what the browser gets instead of, or as, the answer."""
        sign_in: SignIn | None = None
        try:
            sign_in = self.recogniser.recognise(answered.exchange, answered.answer)
            request = self._request(answered)
            sign_in = replace(
                sign_in,
                client_id=_client(answered, request),
                protocol=answered.answer.protocol,
                client_address=answered.client_address,
            )
            return self._ask(answered, request, sign_in)
        except Unrecognised as unrecognised:
            return self._stop(Outcome.UNRECOGNISED, sign_in_pages.UNVERIFIED, why=unrecognised.why)
        except (StoreUnavailable, IdpUnavailable) as error:
            return self.faults.answer(error, answered.exchange, sign_in, now=self.clock())

    def _request(self, answered: Answered) -> AuthorizationRequest | SamlRequest | None:
        if answered.answer.protocol == "saml":
            return answered.saml or self.remembered.matching_saml(answered.browser.id, answered.answer)
        if answered.request or answered.answer.protocol in {"cas", "ws_federation"}:
            return answered.request
        state = answered.answer.parameters.get("state", "")
        request = self.remembered.matching(
            answered.browser.id,
            answered.answer.redirect_uri,
            state,
            step_client=client_of_step(answered.exchange.target),
        )
        return request if request and is_of_step(request, answered.exchange.target) else None

    def _ask(
        self, answered: Answered, request: AuthorizationRequest | SamlRequest | None, sign_in: SignIn
    ) -> Verdict:
        # Security: a request that we rewrote is answered for the session that was held, or for nobody (S11).
        if request and request.session_mark and not self.holds.is_session_mark(request.session_mark, sign_in):
            return self._stop(Outcome.WRONG_SESSION, sign_in_pages.ANOTHER_SESSION)
        now = self.clock()
        decision = ask_gate(self.gate, sign_in, now=now)
        count_reports(decision)
        match decision:
            case Release() as release:
                count(Outcome.WITHHELD if release.reason == "maintenance" else Outcome.RELEASED)
                satisfied = self.faults.satisfied(sign_in, release, now=now)
                claimed = self.claim(sign_in, answered.answer, release, now)
                return Pass(answered.browser.set_cookie + satisfied + claimed)
            case Interrupt() | Deny() if answered.is_silent or _forbids_pages(request):
                return self._refuse_silently(answered, request)
            case Interrupt():
                return self._hold(answered, request, sign_in, now)
            case Deny(reason=reason):
                return self._stop(Outcome.DENIED, sign_in_pages.DENIED, why=reason)
            case never:
                assert_never(never)

    def _refuse_silently(
        self, answered: Answered, request: AuthorizationRequest | SamlRequest | None
    ) -> Verdict:
        """Tell the relying party, in its own protocol, that a page is needed."""
        count(Outcome.SILENT)
        if isinstance(request, SamlRequest):
            return self.passive.refuse(request, answered.answer)
        if answered.request and answered.answer.protocol == "cas":
            return without_ticket(answered.request)
        return self.silent.answer(answered.exchange, answered.answer, answered.request)

    def _hold(
        self,
        answered: Answered,
        request: AuthorizationRequest | SamlRequest | None,
        sign_in: SignIn,
        now: dt.datetime,
    ) -> Verdict:
        browser = answered.browser
        if not self.guard.may_hold(sign_in, application_of(answered.answer.redirect_uri)):
            return self._end_loop(sign_in, now)
        hold = self.holds.keep(
            sign_in,
            answered.answer,
            request,
            answered.exchange,
            now=now,
            resumption=self._resumption(answered, request),
        )
        count(Outcome.HELD)
        fields: Headers = (
            (b"Location", f"{self.hold_address}/{hold.id}".encode()),
            (b"Cache-Control", b"no-store"),
            (b"Referrer-Policy", b"no-referrer"),
        )
        cookies = browser.set_cookie + self.cookies.hold(hold.id, hold.secret)
        return Replace(303, fields + cookies)

    def _resumption(
        self, answered: Answered, request: AuthorizationRequest | SamlRequest | None
    ) -> Resumption | None:
        """Return how a request that is spent is taken up again, if it can be."""
        if request is None or request.plan is not ReleasePlan.PARKED_ONLY:
            return None
        # Security: providers remember one request of a browser, its last; no other is taken for it (S11).
        if not self.remembered.is_newest(answered.browser.id, request.target):
            return None
        return self.recogniser.resumption(answered.exchange)

    def _end_loop(self, sign_in: SignIn, now: dt.datetime) -> Verdict:
        reference = new_reference()
        count(Outcome.LOOPED)
        log.warning("sign_in_loop_ended", reference=reference, client_id=sign_in.client_id)
        self.audit.record(
            AuditAction.SIGN_IN_LOOP_ENDED,
            now=now,
            subject=sign_in.subject,
            reference=reference,
            client=sign_in.client_id,
        )
        return sign_in_pages.stopped(sign_in_pages.LOOPED, reference, keep_cookies=True)

    def _stop(self, outcome: Outcome, page: tuple[int, str, str], **facts: str) -> Replace:
        count(outcome)
        reference = new_reference()
        log.warning("sign_in_stopped", outcome=outcome.value, reference=reference, **facts)
        return sign_in_pages.stopped(page, reference)


def _forbids_pages(request: AuthorizationRequest | SamlRequest | None) -> bool:
    return isinstance(request, SamlRequest) and request.is_passive


def _client(answered: Answered, request: AuthorizationRequest | SamlRequest | None) -> str:
    """Return the relying party as rules know it; empty where nobody can tell."""
    if answered.answer.protocol == "saml":
        return saml_client(answered.answer, answered.saml, step=answered.exchange.target)
    if answered.answer.protocol == "cas":
        return cas_client(answered.answer)
    return request.client_id if request else client_of_step(answered.exchange.target)
