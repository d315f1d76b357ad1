"""Adding a way back in: an address or an app, confirmed by a code."""

import re

import segno
from flask import render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from markupsafe import Markup

from flows.errors import AttemptExpired, ProofRequired
from flows.registering.member import NewApp
from gateway.errors import ShownIn
from gateway.forms import AddressForm, ButtonForm, CodeForm
from gateway.pages.adding import ADDINGS
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.registration import current_member, held_sign_in, pages, status_of
from gateway.services import services

AUTHENTICATOR_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@pages.get("/register/email")
def ask_address() -> ResponseReturnValue:
    """Ask which address, the directory's own first."""
    if status_of(current_member()).proof_needed and not is_lost():
        return see_other("registration.choose_proof", then="email", replaces=replaces() or None)
    return _ask_address(AddressForm(formdata=None))


@pages.post("/register/email")
def add_address() -> ResponseReturnValue:
    """Send a code to the address."""
    form = AddressForm()
    if not form.validate_on_submit():
        return _ask_address(form), 422
    if not form.chosen():
        form.address.errors = [_("Enter an e-mail address")]
        return _ask_address(form), 422
    try:
        with ShownIn(form, "address") as shown:
            pending = services().registration.begin(
                current_member(),
                "email",
                form.chosen(),
                now=services().clock(),
                lost=is_lost(),
                replaces=replaces(),
                asked_from=client_address(),
                agent=client_agent(),
            )
            return see_other("registration.ask_code", pending_id=pending.id)
    except ProofRequired:
        return see_other("registration.choose_proof", then="email", replaces=replaces() or None)
    return _ask_address(form), shown.status


@pages.post("/register/totp")
def add_app() -> ResponseReturnValue:
    """Make a seed for an authenticator app."""
    try:
        with ShownIn(ButtonForm(), "csrf_token"):
            pending = services().registration.begin(
                current_member(), "totp", now=services().clock(), lost=is_lost(), replaces=replaces()
            )
            return see_other("registration.ask_code", pending_id=pending.id)
    except ProofRequired:
        return see_other("registration.choose_proof", then="totp")
    return see_other("registration.show")


@pages.get("/register/pending/<pending_id>")
def ask_code(pending_id: str) -> ResponseReturnValue:
    """Ask for the code that proves control of what is being added."""
    return _ask_code(pending_id, CodeForm(formdata=None))


@pages.post("/register/pending/<pending_id>")
def check_code(pending_id: str) -> ResponseReturnValue:
    """Bind it, if the code is right."""
    form = CodeForm()
    if not form.validate_on_submit():
        return _ask_code(pending_id, form), 422
    with ShownIn(form, "code") as shown:
        services().registration.confirm(
            current_member(), pending_id, str(form.code.data), now=services().clock()
        )
        return lead_on()
    return _ask_code(pending_id, form), shown.status


def lead_on() -> ResponseReturnValue:
    """Lead on after something was added: to the held sign-in once nothing is missing any more."""
    held, status = held_sign_in(), status_of(current_member())
    if held and not status.gap:
        return see_other("hold.show", hold_id=held.id)
    return see_other("registration.show", added="yes")


def is_lost() -> bool:
    """Tell whether the person said that none of the registered ways can be used any more (S1)."""
    return request.args.get("lost") == "yes"


def replaces() -> str:
    """Return the id of the authenticator that goes when the new one comes, or the empty string."""
    asked = request.args.get("replaces", "")
    return asked if AUTHENTICATOR_ID.fullmatch(asked) else ""


def _ask_address(form: AddressForm) -> str:
    status = status_of(current_member())
    return render_template(
        "registration/email.html", form=form, status=status, lost=is_lost(), replaces=replaces()
    )


def _ask_code(pending_id: str, form: CodeForm) -> str:
    pending = services().registration.pending(current_member(), pending_id, now=services().clock())
    if pending.shown is not None and not isinstance(pending.shown, NewApp):
        raise AttemptExpired
    if not isinstance(pending.shown, NewApp):
        return render_template(ADDINGS[pending.kind].code_page, form=form, pending=pending)
    picture, secret = qr_code(pending.shown.uri), in_groups(pending.shown.secret_base32)
    return render_template(
        "registration/totp.html", form=form, pending=pending, picture=picture, secret=secret
    )


def qr_code(text: str) -> Markup:
    """Return a QR code as an inline SVG element without script, style or outside reference."""
    picture = segno.make(text, error="m", micro=False)
    drawn = picture.svg_inline(
        omitsize=True, border=2, dark="#000000", light="#ffffff", svgclass=None, lineclass=None
    )
    return Markup(drawn)  # noqa: S704 - drawn by segno from modules; no part of the text is in it


def in_groups(secret: str) -> str:
    """Return a seed in groups of four, the way people copy it by hand."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
