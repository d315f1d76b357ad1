"""The provider's answers to our own client, and signing out."""

import datetime as dt
import secrets

import structlog
from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from flows.abuse.throttle import address_block
from flows.errors import TooManyAttempts
from gateway.browser import begin_anew
from gateway.cookies import Cookie, drop_cookie, set_cookie
from gateway.errors import page_of_stop
from gateway.forms import ButtonForm
from gateway.pages.answers import as_response, browser_digest, client_address
from gateway.pages.portal import current_session, session_token
from gateway.plane.observe import new_reference
from gateway.portal_session import LIFETIME, PortalSession
from gateway.services import services
from gateway.signin import SignedIn, SignInRefused
from store.audit import AuditAction
from store.counters import Limit

pages = Blueprint("signing_in", __name__)
log = structlog.get_logger("sparekey.pages")
_MINUTE = dt.timedelta(minutes=1)
_REFUSALS_PER_MINUTE = 60
_REFUSAL_TOLD_EVERY = dt.timedelta(hours=1)


@pages.get("/oidc/callback")
def callback() -> ResponseReturnValue:
    """Take the provider's answer, start a portal session, go on to where the person was going."""
    answer = {name: values[0] for name, values in request.args.lists() if len(values) == 1}
    # Security: what this browser never began costs nothing and counts nothing, or any page on the web could
    # have its readers' browsers use up the sign-ins of everybody behind their address (S5).
    is_own = bool(services().signin.going_to(answer, browser=browser_digest()))
    if is_own:
        _require_few_refusals()
    try:
        signed_in = services().signin.finish(answer, browser=browser_digest(), now=services().clock())
    except SignInRefused as refused:
        if is_own:
            services().counters.hit([_refusals()], now=services().clock())
        return _refused(refused)
    _leave_to_nobody_else(signed_in)
    # Security: the old token dies with the sign-in, whoever planted it.
    services().portal_sessions.end(session_token())
    token = services().portal_sessions.start(_session(signed_in))
    _record(AuditAction.PORTAL_SIGNED_IN, signed_in.subject.source, signed_in.subject.id)
    response = as_response(redirect(signed_in.next_path, 303))
    set_cookie(response, services().settings.gateway, Cookie.SESSION, token)
    return response


@pages.get("/oidc/logout")
def ask_to_sign_out() -> ResponseReturnValue:
    """Ask before signing out, or say that nobody is signed in."""
    return render_template("signed_out.html", form=ButtonForm(formdata=None), session=current_session())


@pages.post("/oidc/logout")
def sign_out() -> ResponseReturnValue:
    """End the portal session, then lead to the provider's own sign-out."""
    session, settings = current_session(), services().settings.gateway
    services().portal_sessions.end(session_token())
    if session:
        services().portal_sessions.sign_out(session, now=services().clock())
        _record(AuditAction.PORTAL_SIGNED_OUT, session.subject.source, session.subject.id)
    back = f"{settings.public}{settings.prefix}/oidc/logout"
    response = as_response(redirect(services().signin.sign_out_address(back) or back, 303))
    drop_cookie(response, settings, Cookie.SESSION)
    return response


@pages.post("/oidc/backchannel-logout")
def backchannel_logout() -> ResponseReturnValue:
    """End the portal sessions of a session that ended at the provider.

    Source: OpenID Connect Back-Channel Logout 1.0 section 2.8: 200, or 400 where the token is not good.
    """
    now = services().clock()
    try:
        ended = services().signin.logged_out(request.form.get("logout_token", ""), now=now)
    except SignInRefused as refused:
        log.warning("backchannel_logout_refused", why=refused.why)
        return {"error": "invalid_request"}, 400
    services().portal_sessions.end_at_provider(ended.subject, ended.issuer, ended.idp_session, now=now)
    if ended.subject:
        _record(AuditAction.PORTAL_SIGNED_OUT, ended.subject.source, ended.subject.id)
    return "", 200


def _leave_to_nobody_else(signed_in: SignedIn) -> None:
    """End what somebody else opened in this browser, at applications too."""
    before = current_session()
    if before and before.subject != signed_in.subject:
        services().portal_sessions.sign_out(before, now=services().clock())
        # Security: a page that the other person left open would register for this one.
        begin_anew()


def _session(signed_in: SignedIn) -> PortalSession:
    now = services().clock()
    return PortalSession(
        id=secrets.token_hex(16),
        subject=signed_in.subject,
        idp_session=signed_in.idp_session,
        username=signed_in.username,
        display_name=signed_in.display_name,
        email=signed_in.email,
        groups=signed_in.groups,
        roles=signed_in.roles,
        unstated=signed_in.unstated,
        amr=signed_in.amr,
        started_at=now,
        expires_at=now + LIFETIME,
    )


def _refusals() -> Limit:
    # Only refusals count, so that a whole company behind one address may sign in at the same time.
    return Limit(f"sign-in refused:{address_block(client_address())}", _REFUSALS_PER_MINUTE, _MINUTE)


def _require_few_refusals() -> None:
    verdict = services().counters.peek([_refusals()], now=services().clock())
    if not verdict.allowed:
        raise TooManyAttempts(verdict.retry_after)


def _refused(refused: SignInRefused) -> ResponseReturnValue:
    reference, now = new_reference(), services().clock()
    log.warning("portal_sign_in_refused", why=refused.why, reference=reference)
    # Once an hour for each address block: refusals are cheap to provoke, and must not fill the audit.
    if services().expiring.once("refusal told", address_block(client_address()), ttl=_REFUSAL_TOLD_EVERY):
        with services().database.transaction() as transaction:
            transaction.audit.record(AuditAction.PORTAL_SIGN_IN_REFUSED, now=now, reference=reference)
    return page_of_stop("sign_in_refused", 400, reference=reference)


def _record(action: AuditAction, source: str, subject: str) -> None:
    with services().database.transaction() as transaction:
        person = transaction.people.by_subject(source, subject)
        transaction.audit.record(action, now=services().clock(), person_id=person.id if person else None)
