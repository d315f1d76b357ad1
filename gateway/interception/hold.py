"""Held sign-ins: kept under a secret that only one browser has, released at most once (S11).

::

    keep      the interceptor holds an answer; the browser gets the hold's id and its cookie
    read      a page shows what is held
    release   the gate is asked again; what was held is deleted, then delivered
"""

import datetime as dt
import secrets
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import TypeAdapter

from enforcement.decision import Decision, Deny, Interrupt, Release
from enforcement.gate import Gate
from gateway.interception.again import Replay, Repost, again
from gateway.interception.ask_gate import ask_gate
from gateway.interception.authorization_request import AuthorizationRequest, ReleasePlan, rewritten
from gateway.interception.held import HeldSignIn, HoldGone, KeptHold, dump, load
from gateway.interception.loop_guard import LoopGuard
from gateway.interception.parked import Parked, pack, parked_until, unpack
from gateway.interception.saml_request import SamlRequest
from gateway.interception.sign_in_audit import SignInAudit
from idp_plugin.base import AuthorizationAnswer, Exchange, Resumption, SignIn, Subject
from store.audit import AuditAction
from store.errors import SealBroken
from store.expiring import Expiring
from store.vault import Vault, open_with, seal_with

HOLD = "hold"
PARKED = "parked"
RESUMPTION = "resumption"
HOLD_LIFETIME = dt.timedelta(minutes=10)
PARKED_LIFETIME = dt.timedelta(seconds=55)
"""Keycloak's `accessCodeLifespan` (60 s by default, fixed when the code is issued) less 5 s."""
SHORTEST = dt.timedelta(seconds=1)
"""What Valkey keeps at least; an answer that is over by then is not delivered."""
_RESUMPTION = TypeAdapter(Resumption)


@dataclass(frozen=True, slots=True)
class StartAgain:
    """Nothing can be delivered: the person starts from the application (410)."""

    application: str


@dataclass(frozen=True, slots=True)
class StillDue:
    """The gate was asked again and does not release; the hold stays."""

    decision: Interrupt | Deny


@dataclass(frozen=True, slots=True)
class SomebodyElse:
    """The portal session is another person's, or of another IdP session; the hold stays."""


__all__ = [
    "HeldSignIn",
    "HoldGone",
    "Holds",
    "KeptHold",
    "Released",
    "Replay",
    "Repost",
    "SomebodyElse",
    "StartAgain",
    "StillDue",
]

Released = Replay | Repost | Parked | StartAgain | StillDue | SomebodyElse


class Holds:
    """Keeps and releases sign-ins.

    Args:
        public: The public origin; replays go there.
        parked_lifetime: How long an answer's code is still good.
    """

    def __init__(
        self,
        *,
        expiring: Expiring,
        vault: Vault,
        gate: Gate,
        audit: SignInAudit,
        guard: LoopGuard,
        public: str,
        parked_lifetime: dt.timedelta = PARKED_LIFETIME,
    ) -> None:
        self._expiring = expiring
        self._vault = vault
        self._gate = gate
        self._audit = audit
        self._guard = guard
        self._public = public
        self._parked_lifetime = parked_lifetime

    def keep(
        self,
        sign_in: SignIn,
        answer: AuthorizationAnswer,
        request: AuthorizationRequest | SamlRequest | None,
        exchange: Exchange,
        *,
        now: dt.datetime,
        resumption: Resumption | None = None,
    ) -> KeptHold:
        """Hold an answer; it is parked only where its request cannot simply be sent again.

        Args:
            resumption: How a request that is spent is taken up again.

        Raises:
            StoreUnavailable: Nothing is held.
        """
        hold = KeptHold(secrets.token_urlsafe(18), secrets.token_urlsafe(32))
        held = HeldSignIn(
            hold.id,
            sign_in,
            application_of(answer.redirect_uri),
            request.plan if request else ReleasePlan.PARKED_ONLY,
            now,
            parked_until(answer, now=now, default=self._parked_lifetime, most=HOLD_LIFETIME),
            request.target if request else "",
        )
        if held.plan is not ReleasePlan.EXACT:
            self._park(hold, exchange, held.parked_until - now)
        if resumption:
            self._put_sealed(RESUMPTION, hold, _RESUMPTION.dump_json(resumption), HOLD_LIFETIME)
        self._expiring.put(HOLD, hold.id, dump(held, hold.secret), ttl=HOLD_LIFETIME)
        return hold

    def read(self, hold_id: str, secret: str) -> HeldSignIn:
        """Return what is held, for the browser with the hold's cookie. Changes nothing.

        Raises:
            HoldGone: Expired, released, or the secret does not fit.
            StoreUnavailable: Try later.
        """
        found = self._expiring.peek(HOLD, hold_id) if hold_id else None
        return load(hold_id, secret, found)

    def decide(self, held: HeldSignIn, *, now: dt.datetime) -> Decision:
        """Ask the gate about a held sign-in, as `release` will.

        Raises:
            StoreUnavailable: Try later.
        """
        return ask_gate(self._gate, held.sign_in, now=now)

    def release(
        self, hold_id: str, secret: str, *, issuer: str, subject: str, session_id: str, now: dt.datetime
    ) -> Released:
        """Ask the gate again and, where it releases, delete what is held and say how to deliver it.

        Args:
            issuer, subject, session_id: Of the verified portal session of this browser.

        Raises:
            HoldGone: Expired, released before, or the secret does not fit.
            StoreUnavailable: Nothing was released.
        """
        held = self.read(hold_id, secret)
        theirs = held.sign_in
        if (theirs.subject, theirs.session_id) != (Subject(issuer, subject), session_id):
            self._audit.record(
                AuditAction.SIGN_IN_HOLD_REFUSED, now=now, subject=theirs.subject, client=theirs.client_id
            )
            return SomebodyElse()
        decision = self.decide(held, now=now)
        if not isinstance(decision, Release):
            return StillDue(decision)
        # Security: deleted first, so that it is delivered at most once, whoever else asks meanwhile (S11).
        load(hold_id, secret, self._expiring.take(HOLD, hold_id))
        self._guard.released(theirs, held.application)
        released = self._deliver(held, secret, now)
        self._audit.record(
            AuditAction.SIGN_IN_HOLD_RELEASED,
            now=now,
            subject=theirs.subject,
            client=theirs.client_id,
            how=type(released).__name__.lower(),
        )
        return released

    def is_session_mark(self, mark: str, sign_in: SignIn) -> bool:
        """Tell whether a rewritten replay's mark names the session of this sign-in."""
        return self._vault.digest_matches(sign_in.session_id, "session", mark)

    def _deliver(self, held: HeldSignIn, secret: str, now: dt.datetime) -> Released:
        if held.plan is ReleasePlan.EXACT:
            return again(self._public, held.target, application=held.application)
        parked = self._take_parked(held, secret, now)
        if parked:
            return parked
        if held.plan is ReleasePlan.PARKED_THEN_EXACT:
            return again(self._public, held.target, application=held.application)
        # Security: a request is rewritten only for a session that can be told from others (S11).
        if held.plan is ReleasePlan.PARKED_THEN_REWRITTEN and held.sign_in.session_id:
            mark = self._vault.digest(held.sign_in.session_id, "session")
            return Replay(self._public + rewritten(held.target, mark))
        return self._take_up_again(held, secret) or StartAgain(held.application)

    def _park(self, hold: KeptHold, exchange: Exchange, lifetime: dt.timedelta) -> None:
        self._put_sealed(PARKED, hold, pack(exchange), max(lifetime, SHORTEST))

    def _take_parked(self, held: HeldSignIn, secret: str, now: dt.datetime) -> Parked | None:
        packed = self._take_sealed(PARKED, held, secret)
        return unpack(packed) if packed and now < held.parked_until else None

    def _take_up_again(self, held: HeldSignIn, secret: str) -> Replay | None:
        kept = self._take_sealed(RESUMPTION, held, secret)
        resumption = _RESUMPTION.validate_json(kept) if kept else None
        return Replay(self._public + resumption.target, resumption.set_cookie) if resumption else None

    def _put_sealed(self, kind: str, hold: KeptHold, content: bytes, lifetime: dt.timedelta) -> None:
        sealed = seal_with(_parking_key(hold.secret), content, f"{kind}:{hold.id}")
        self._expiring.put(kind, hold.id, sealed, ttl=lifetime)

    def _take_sealed(self, kind: str, held: HeldSignIn, secret: str) -> bytes | None:
        sealed = self._expiring.take(kind, held.id)
        try:
            return open_with(_parking_key(secret), sealed, f"{kind}:{held.id}") if sealed else None
        except SealBroken:
            return None


def application_of(redirect_uri: str) -> str:
    """Return what a person may be shown as the application: an origin, or the scheme of an installed one."""
    try:
        parts = urlsplit(redirect_uri)
    except ValueError:
        return ""
    if parts.scheme in {"http", "https"} and parts.hostname:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return f"{parts.scheme}:" if parts.scheme else ""


def _parking_key(secret: str) -> bytes:
    """Return the key that only the hold's cookie carries (S11)."""
    return HKDF(SHA256(), 32, salt=None, info=b"sparekey parked answer").derive(secret.encode())
