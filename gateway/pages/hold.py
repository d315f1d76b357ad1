"""A held sign-in: seen here, released here, never certified here: the gate is asked again (rule 1)."""

from typing import assert_never
from urllib.parse import urlsplit

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from enforcement.decision import Deny, Interrupt, Release
from gateway.cookies import drop_cookie, hold_cookie, read_cookie
from gateway.errors import page_of_stop
from gateway.forms import ButtonForm
from gateway.interception.hold import HeldSignIn, HoldGone, Replay, Repost, SomebodyElse, StartAgain, StillDue
from gateway.interception.parked import Parked
from gateway.pages.answers import as_response, see_other
from gateway.pages.portal import SignInFirst, signed_in
from gateway.plane.observe import new_reference
from gateway.security_headers import allow_forms_to, leave_verbatim
from gateway.services import services

pages = Blueprint("hold", __name__)


@pages.get("/hold/<hold_id>")
def show(hold_id: str) -> ResponseReturnValue:
    """Lead to registration while something is missing; offer to go on once nothing is."""
    held = services().holds.read(hold_id, _secret(hold_id))
    session = signed_in()
    if (held.sign_in.subject, held.sign_in.session_id) != (session.subject, session.idp_session):
        return _another_session(held)
    decision = services().holds.decide(held, now=services().clock())
    match decision:
        case Release(reason=reason):
            allow_forms_to(*onward(held.application))
            form = ButtonForm(formdata=None)
            return render_template("hold/continue.html", form=form, held=held, reason=reason)
        case Interrupt():
            return see_other("registration.show", hold=hold_id)
        case Deny():
            return page_of_stop("denied", 403, reference=new_reference())
    assert_never(decision)


@pages.post("/hold/<hold_id>")
def release(hold_id: str) -> ResponseReturnValue:
    """Let the sign-in go on."""
    return let_go(hold_id)


def let_go(hold_id: str) -> ResponseReturnValue:
    """Ask the gate again and, where it releases, deliver what is held, at most once.

    Raises:
        HoldGone: Nothing waits here for this browser.
    """
    session = signed_in()
    released = services().holds.release(
        hold_id,
        _secret(hold_id),
        issuer=session.subject.source,
        subject=session.subject.id,
        session_id=session.idp_session,
        now=services().clock(),
    )
    match released:
        case Replay() | Repost() | Parked():
            return _without_cookie(hold_id, _delivered(released))
        case StartAgain(application=application):
            return page_of_stop("start_again", 410, application=application)
        case StillDue(decision=Interrupt()):
            return see_other("registration.show", hold=hold_id)
        case StillDue():
            return page_of_stop("denied", 403, reference=new_reference())
        case SomebodyElse():
            return see_other("hold.show", hold_id=hold_id)
    assert_never(released)


def onward(application: str) -> tuple[str, ...]:
    """Return where a form may lead that releases a sign-in to this application.

    Any `https` place, because applications redirect on to hosts that nobody lists; besides, the
    application's own origin or scheme, where that is not `https`.
    """
    parts = urlsplit(application)
    if parts.scheme in {"", "https"}:
        return ("https:",)
    return ("https:", application if parts.netloc else f"{parts.scheme}:")


def hold_gone(_error: HoldGone) -> ResponseReturnValue:
    """Say that nothing waits here any more."""
    return page_of_stop("hold_gone", 410)


def _secret(hold_id: str) -> str:
    return read_cookie(request, services().settings.gateway, hold_cookie(hold_id))


def _another_session(held: HeldSignIn) -> ResponseReturnValue:
    """Sign in to the portal again, once: the provider may know another session by now."""
    if "again" in request.args:
        return page_of_stop("somebody_else", 409, application=held.application)
    raise SignInFirst(f"{request.path}?again=yes")


def _delivered(released: Replay | Repost | Parked) -> Response:
    match released:
        case Replay(location=location, set_cookie=cookie):
            return Response(status=303, headers=[("Location", location), *_given(cookie)])
        case Repost(application=application):
            allow_forms_to(*onward(application))
            return as_response(render_template("hold/repost.html", again=released))
        case Parked():
            return _parked(released)
    assert_never(released)


def _given(cookie: str) -> list[tuple[str, str]]:
    return [("Set-Cookie", cookie)] if cookie else []


def _parked(parked: Parked) -> Response:
    """Return the provider's own answer, byte for byte."""
    leave_verbatim()
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in parked.headers]
    return Response(parked.body, parked.status, headers)


def _without_cookie(hold_id: str, response: Response) -> Response:
    drop_cookie(response, services().settings.gateway, hold_cookie(hold_id))
    return as_response(response)
