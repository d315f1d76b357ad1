"""A passkey: made by the device in the browser, named by its owner."""

import json

from flask import render_template
from flask.typing import ResponseReturnValue

from flows.authenticators import passkey
from flows.errors import AttemptExpired, ProofRequired
from flows.registering.member import NewPasskey
from gateway.errors import ShownIn
from gateway.forms import ButtonForm, NewPasskeyForm
from gateway.pages.answers import see_other
from gateway.pages.registration import current_member, pages
from gateway.pages.registration_adding import is_lost, lead_on
from gateway.services import services


@pages.post("/register/passkey")
def begin_passkey() -> ResponseReturnValue:
    """Make a challenge for the device."""
    form = ButtonForm()
    try:
        with ShownIn(form, "csrf_token"):
            pending = services().registration.begin(
                current_member(), passkey.NAME, now=services().clock(), lost=is_lost()
            )
            return see_other("registration.ask_passkey", pending_id=pending.id)
    except ProofRequired:
        return see_other("registration.choose_proof", then=passkey.NAME)
    return see_other("registration.show")


@pages.get("/register/passkey/<pending_id>")
def ask_passkey(pending_id: str) -> ResponseReturnValue:
    """Ask what to call it, and let the device make it."""
    return _ask(pending_id, NewPasskeyForm(formdata=None))


@pages.post("/register/passkey/<pending_id>")
def keep_passkey(pending_id: str) -> ResponseReturnValue:
    """Bind what the device made."""
    form = NewPasskeyForm()
    if not form.validate_on_submit():
        return _ask(pending_id, form), 422
    with ShownIn(form, "code", form.refusals) as shown:
        _options(pending_id)
        answer = json.dumps({"credential": form.credential(), "name": form.name.data or ""})
        services().registration.confirm(current_member(), pending_id, answer, now=services().clock())
        return lead_on()
    return _ask(pending_id, form), shown.status


def _ask(pending_id: str, form: NewPasskeyForm) -> str:
    return render_template(
        "registration/passkey.html", form=form, pending_id=pending_id, options=_options(pending_id)
    )


def _options(pending_id: str) -> str:
    pending = services().registration.pending(current_member(), pending_id, now=services().clock())
    if not isinstance(pending.shown, NewPasskey):
        raise AttemptExpired
    return pending.shown.options
