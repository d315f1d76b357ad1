"""One token answer, decided. No browser is there: the application is told by a standard error, and where to.

Blocking; runs in a worker thread.
"""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from enforcement.decision import Release
from enforcement.gate import Gate
from gateway.interception.ask_gate import ask_gate, situation_of
from gateway.interception.faults import Faults
from gateway.interception.sign_in_metrics import Outcome, count, count_reports
from gateway.interception.token_grant import BACKCHANNEL, DEVICE, PASSWORD, REFRESH, grant_of, tokens_of
from gateway.plane.observe import new_reference
from gateway.plane.verdict import Headers, Pass, Replace, Verdict
from idp_plugin.base import Exchange, SessionEnder, SignIn, Unrecognised
from idp_plugin.errors import IdpError, IdpUnavailable
from idp_plugin.oidc_tokens import OidcTokens
from store.errors import StoreUnavailable

ERRORS = {
    REFRESH: "invalid_grant",
    DEVICE: "access_denied",
    BACKCHANNEL: "access_denied",
}
"""What makes applications do the right thing: sign in anew, or stop asking. Source: RFC 6749 section 5.2; RFC
8628 section 3.5; CIBA Core 1.0 section 11. For every other grant `interaction_required`."""
BEGIN_SESSIONS = frozenset({PASSWORD, BACKCHANNEL})
"""Grants that begin a session of their own; a device joins the one of the browser."""
REGISTER = "The person has to register a way to get back in first; error_uri is where"
NOT_TOLD = "It could not be confirmed who this is"
OUTAGE = "A part of the sign-in service does not answer; try again in a minute"

log = structlog.get_logger("sparekey.interception")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDecider:
    """Decides about token answers."""

    tokens: OidcTokens
    gate: Gate
    faults: Faults
    portal: str
    """Where people register: the public origin and our prefix."""
    sessions: SessionEnder | None
    clock: Callable[[], dt.datetime]

    def decide(self, exchange: Exchange) -> Verdict:
        """Return what the application gets instead of, or as, the answer."""
        grant, answer = grant_of(exchange), tokens_of(exchange)
        sign_in: SignIn | None = None
        try:
            if grant == REFRESH and not self._asks_about_refreshing(None):
                return Pass()
            sign_in = self.tokens.sign_in(answer)
            return self._ask(exchange, grant, sign_in)
        except Unrecognised as unrecognised:
            return self._refuse(exchange, "invalid_grant", NOT_TOLD, why=unrecognised.why)
        except (StoreUnavailable, IdpUnavailable) as error:
            verdict = self.faults.answer(error, exchange, sign_in, now=self.clock())
            if isinstance(verdict, Pass):
                return verdict
            return _error(exchange, 503, {"error": "temporarily_unavailable", "error_description": OUTAGE})

    def _ask(self, exchange: Exchange, grant: str, sign_in: SignIn) -> Verdict:
        if grant == REFRESH and not self._asks_about_refreshing(sign_in):
            return Pass()
        decision = ask_gate(self.gate, sign_in, now=self.clock())
        count_reports(decision)
        if isinstance(decision, Release):
            count(Outcome.RELEASED)
            return Pass()
        if grant in BEGIN_SESSIONS:
            self._end(sign_in)
        error = ERRORS.get(grant, "interaction_required")
        return self._refuse(exchange, error, REGISTER, why=decision.reason)

    def _asks_about_refreshing(self, sign_in: SignIn | None) -> bool:
        """Tell whether a rule names the token endpoint: no other one ends what was let go before.

        Args:
            sign_in: None asks whether any rule does, for whomever.
        """
        policy = self.gate.current_policy()
        rules = policy.possible_rules(situation_of(sign_in, now=self.clock())) if sign_in else policy.rules
        return any(rule is not None and "token" in rule.who.protocols for rule in rules)

    def _end(self, sign_in: SignIn) -> None:
        """End the session that nobody has tokens of; where our client may not, it ends by itself."""
        if self.sessions is None or not sign_in.session_id:
            return
        try:
            self.sessions.end(sign_in.session_id)
        except IdpError as error:
            log.warning("refused_session_not_ended", error=type(error).__name__)

    def _refuse(self, exchange: Exchange, error: str, description: str, *, why: str) -> Replace:
        count(Outcome.TOKEN_REFUSED)
        reference = new_reference()
        log.warning("token_answer_refused", error=error, reference=reference, why=why)
        said = {
            "error": error,
            "error_description": f"{description} ({reference})",
            "error_uri": f"{self.portal}/",
        }
        return _error(exchange, 400, said)


def _error(exchange: Exchange, status: int, said: dict[str, str]) -> Replace:
    fields: Headers = (
        (b"Content-Type", b"application/json"),
        (b"Cache-Control", b"no-store"),
        (b"Pragma", b"no-cache"),
    )
    # Applications in browsers read the error only where the provider let them read its answer.
    shared = tuple(
        (name, value)
        for name, value in exchange.response_headers
        if name.lower().startswith(b"access-control-") or name.lower() == b"vary"
    )
    return Replace(status, fields + shared, json.dumps(said).encode(), keep_cookies=False)
