"""The sign-in for applications behind forward auth: who it is, what the gate says, and back with a ticket.

Everything before and after happens at the application's own host: `gateway/forward_auth`.
"""

from typing import assert_never

import structlog
from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from enforcement.decision import Decision, Deny, Interrupt, Release
from enforcement.policy import GroupsUnknown
from gateway.cookies import hold_cookie, set_cookie
from gateway.errors import page_of_stop
from gateway.forward_auth.application import Application
from gateway.forward_auth.application_session import ApplicationSession
from gateway.forward_auth.hand_over import Note
from gateway.interception.ask_gate import ask_gate, situation_of
from gateway.interception.authorization_request import AuthorizationRequest, ReleasePlan
from gateway.interception.hold import HOLD_LIFETIME
from gateway.interception.loop_guard import LoopGuard
from gateway.interception.sign_in_audit import SignInAudit
from gateway.interception.sign_in_metrics import Outcome, count, count_fault, count_reports
from gateway.pages.answers import as_response, client_address, see_other
from gateway.pages.portal import signed_in
from gateway.plane.observe import new_reference
from gateway.portal_session import PortalSession
from gateway.services import services
from idp_plugin.base import AuthorizationAnswer, Exchange, SignIn
from store.audit import AuditAction
from store.errors import StoreUnavailable

pages = Blueprint("forward_auth", __name__)
log = structlog.get_logger("sparekey.forward_auth")


@pages.get("/forward-auth/sign-in")
def sign_in() -> ResponseReturnValue:
    """Ask the gate about whoever is signed in, and send them back to the application, or to registration."""
    note = services().hand_overs.read(request.args.get("for", ""), now=services().clock())
    application = services().hand_overs.application(note.host) if note else None
    if note is None or application is None:
        return page_of_stop("hold_gone", 410)
    session = signed_in()
    who = _sign_in_of(session, application)
    decision = _decision(who)
    count_reports(decision)
    match decision:
        case Release():
            return _hand_over(session, application, note)
        case Interrupt():
            return _hold(who, application)
        case Deny(reason=reason):
            return _denied(who, reason)
        case never:
            assert_never(never)


def _sign_in_of(session: PortalSession, application: Application) -> SignIn:
    # Security: groups that were not stated are unknown, not none; else rules about groups ask nothing.
    return SignIn(
        session.subject,
        session.idp_session,
        application.host,
        username=session.username,
        groups=None if "groups" in session.unstated else session.groups,
        roles=None if "roles" in session.unstated else session.roles,
        amr=session.amr,
        verified_by="id_token",
        protocol="forward_auth",
        client_address=client_address(),
    )


def _decision(who: SignIn) -> Decision:
    """Ask the gate; while it cannot be asked, the policy's own answer for that counts (S10)."""
    now = services().clock()
    try:
        return ask_gate(services().gate, who, now=now)
    except GroupsUnknown:
        return Deny("groups_unknown")
    except StoreUnavailable:
        if not services().gate.breaker.failed():
            raise
        answer = services().gate.answer_fault(situation_of(who, now=now), reference=new_reference())
        count_fault("release" if isinstance(answer, Release) else "deny")
        return answer


def _hand_over(session: PortalSession, application: Application, note: Note) -> ResponseReturnValue:
    count(Outcome.RELEASED)
    given = ApplicationSession(
        host=application.host,
        subject=session.subject,
        idp_session=session.idp_session,
        username=session.username,
        display_name=session.display_name,
        email=session.email,
        groups=session.groups,
        signed_in_at=session.started_at,
        expires_at=session.expires_at,
    )
    address = services().hand_overs.ticket(application, note, given)
    # A page that goes on by itself, not a redirect: browsers hold redirects after the provider's sign-in form
    # to where that page lets its forms lead, and it knows of no application.
    page = render_template("forward_auth/onward.html", address=address, application=application)
    return page, 200, {"Refresh": f"0; url={address}"}


def _hold(who: SignIn, application: Application) -> ResponseReturnValue:
    """Keep the sign-in until registration is done; letting it go leads to this very page again."""
    origin = application.origin
    if not LoopGuard(services().counters).may_hold(who, origin):
        count(Outcome.LOOPED)
        return _stopped(AuditAction.SIGN_IN_LOOP_ENDED, who)
    target = request.full_path
    asked = AuthorizationRequest(target, who.client_id, origin, "", frozenset(), ReleasePlan.EXACT)
    exchange = Exchange(b"GET", target.encode(), (), b"", 303, (), b"")
    answer = AuthorizationAnswer(origin, {}, "query")
    hold = services().holds.keep(who, answer, asked, exchange, now=services().clock())
    count(Outcome.HELD)
    response = as_response(see_other("hold.show", hold_id=hold.id))
    set_cookie(response, services().settings.gateway, hold_cookie(hold.id), hold.secret, HOLD_LIFETIME)
    return response


def _denied(who: SignIn, reason: str) -> ResponseReturnValue:
    count(Outcome.DENIED)
    log.warning("forward_auth_denied", why=reason, client_id=who.client_id)
    return _stopped(AuditAction.SIGN_IN_GATE_DENIED, who)


def _stopped(action: AuditAction, who: SignIn) -> ResponseReturnValue:
    reference = new_reference()
    SignInAudit(services().database).record(
        action,
        now=services().clock(),
        subject=who.subject,
        reference=reference,
        client=who.client_id,
    )
    return page_of_stop("denied", 403, reference=reference)
