"""A code that a helpdesk handed out, in the place of a proof of an existing way back in (S1)."""

from flask import render_template
from flask.typing import ResponseReturnValue

from gateway.errors import ShownIn
from gateway.forms import HandedOutCodeForm
from gateway.pages.registration import current_member, pages
from gateway.pages.registration_proof import go_on, wanted
from gateway.services import services


@pages.get("/register/code")
def ask_handed_out_code() -> ResponseReturnValue:
    """Ask for the code."""
    return _ask(HandedOutCodeForm(formdata=None))


@pages.post("/register/code")
def redeem_handed_out_code() -> ResponseReturnValue:
    """Check the code; what is added within ten minutes then counts at once."""
    form = HandedOutCodeForm()
    if not form.validate_on_submit():
        return _ask(form), 422
    with ShownIn(form, "code", form.refusals) as shown:
        services().registration.redeem(current_member(), form.answer(), now=services().clock())
        return go_on()
    return _ask(form), shown.status


def _ask(form: HandedOutCodeForm) -> str:
    return render_template("registration/handed_out_code.html", form=form, wanted=wanted())
