"""Ways back in, as pages: what is registered, what is asked for, "later", "looks good", removal.

Adding is in `registration_adding`, proving an existing one first in `registration_proof`. A held sign-in is
carried along in the address as `?hold=`: its id opens nothing without the hold's own cookie.
"""

import re
from typing import Any

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from flows.errors import LastMethod, ProofRequired, WrongStage
from flows.registering.registration import Member, Registered, Status
from gateway.cookies import hold_cookie, read_cookie
from gateway.errors import page_of_stop
from gateway.forms import ButtonForm
from gateway.interception.hold import HeldSignIn, HoldGone
from gateway.pages import hold
from gateway.pages.answers import see_other
from gateway.pages.portal import member, signed_in
from gateway.security_headers import allow_forms_to
from gateway.services import services

pages = Blueprint("registration", __name__)
HOLD_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")


@pages.url_defaults
def _keep_hold(endpoint: str, values: dict[str, Any]) -> None:
    """Carry the held sign-in through every address of this journey."""
    del endpoint
    if hold_id():
        values.setdefault("hold", hold_id())


def hold_id() -> str:
    """Return the id of the held sign-in that this request belongs to, or the empty string."""
    asked = request.args.get("hold", "")
    return asked if HOLD_ID.fullmatch(asked) else ""


def held_sign_in() -> HeldSignIn | None:
    """Return the held sign-in, if it still waits for this browser and is the signed-in person's own."""
    if not hold_id():
        return None
    secret = read_cookie(request, services().settings.gateway, hold_cookie(hold_id()))
    try:
        held = services().holds.read(hold_id(), secret)
    except HoldGone:
        return None
    session = signed_in()
    is_own = (held.sign_in.subject, held.sign_in.session_id) == (session.subject, session.idp_session)
    return held if is_own else None


def current_member() -> Member:
    """Return the signed-in person, with the sign-in that waits."""
    held = held_sign_in()
    return member(held.sign_in if held else None)


def status_of(person: Member) -> Status:
    """Return what the person has and what is asked."""
    return services().registration.status(person, now=services().clock())


def own(authenticator_id: str, status: Status) -> Registered | None:
    """Return one of the person's own authenticators."""
    return next((each for each in status.authenticators if each.id == authenticator_id), None)


@pages.get("/register")
def show() -> ResponseReturnValue:
    """Show what is registered, what is asked for, why, and until when it can wait."""
    held, status = held_sign_in(), status_of(current_member())
    if held:
        allow_forms_to(*hold.onward(held.application))
    return render_template(
        "registration/overview.html",
        form=ButtonForm(formdata=None),
        status=status,
        held=held,
        session=signed_in(),
        added=request.args.get("added") == "yes",
    )


@pages.post("/register/later")
def later() -> ResponseReturnValue:
    """Put registration off, as often as the policy lets."""
    person, idp_session = current_member(), signed_in().idp_session
    try:
        services().registration.postpone(person, idp_session, now=services().clock())
    except WrongStage:
        return see_other("registration.show")
    return _go_on()


@pages.post("/register/confirm")
def confirm() -> ResponseReturnValue:
    """Take the person's word that everything registered is still right."""
    try:
        services().registration.confirm_all(current_member(), now=services().clock())
    except WrongStage:
        return see_other("registration.show")
    return _go_on()


@pages.get("/register/<authenticator_id>/remove")
def ask_to_remove(authenticator_id: str) -> ResponseReturnValue:
    """Ask before removing."""
    status = status_of(current_member())
    found = own(authenticator_id, status)
    if found is None:
        return see_other("registration.show")
    return render_template("registration/remove.html", form=ButtonForm(formdata=None), found=found)


@pages.post("/register/<authenticator_id>/remove")
def remove(authenticator_id: str) -> ResponseReturnValue:
    """Remove an authenticator."""
    try:
        services().registration.remove(current_member(), authenticator_id, now=services().clock())
    except ProofRequired:
        return see_other("registration.choose_proof", then=f"remove-{authenticator_id}")
    except LastMethod:
        return page_of_stop("last_method", 409)
    return see_other("registration.show")


def _go_on() -> ResponseReturnValue:
    """Let the held sign-in go on where one waits; else show the list."""
    held = held_sign_in()
    return hold.let_go(held.id) if held else see_other("registration.show")
