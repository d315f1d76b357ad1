"""The forgotten name: which address or number, and the same words for every one."""

import json

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.errors import TooSoon, WorkNotDone
from flows.help.forgotten_name import PURPOSE
from flows.help.requests import Stranger
from gateway.errors import ShownIn
from gateway.help_forms import ForgottenNameByNumberForm, ForgottenNameForm
from gateway.pages import way_back
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.put_off import put_off, waiting_page, what_was_put_off
from gateway.services import services

pages = Blueprint("forgotten_name", __name__)


@pages.get("")
def start() -> ResponseReturnValue:
    """Ask which address was registered."""
    form = _form()(formdata=None)
    form.return_to.data = request.args.get("return_to", "")
    return _ask(form)


@pages.post("")
def begin() -> ResponseReturnValue:
    """Have the names mailed; answers alike for every address, before anything is looked up."""
    form = _form()()
    if not form.validate_on_submit():
        return _ask(form), 422
    address, return_to = str(form.address.data), str(form.return_to.data or "")
    work = str(form.work.data or form.ticket.data or "")
    with ShownIn(form, "address") as shown:
        try:
            return _sent(address, work, return_to)
        except TooSoon as error:
            facts = {"address": address, "ticket": work, "return_to": return_to}
            return see_other("forgotten_name.wait", kept=put_off(PURPOSE, facts, error.retry_after))
    return _ask(form), shown.status


@pages.get("/wait")
def wait() -> ResponseReturnValue:
    """Let a browser without script wait."""
    kept = what_was_put_off(PURPOSE)
    return waiting_page(kept, _("Forgotten name")) if kept else see_other("forgotten_name.start")


@pages.post("/wait")
def go_on() -> ResponseReturnValue:
    """Go on with what was put off."""
    kept = what_was_put_off(PURPOSE)
    if not kept:
        return see_other("forgotten_name.start")
    try:
        return _sent(kept["address"], kept["ticket"], kept["return_to"])
    except TooSoon as error:
        return see_other("forgotten_name.wait", kept=put_off(PURPOSE, kept, error.retry_after))
    except WorkNotDone:
        return see_other("forgotten_name.start")


@pages.get("/sent")
def sent() -> ResponseReturnValue:
    """Say what happens now, whatever was typed."""
    return render_template(
        "forgotten_name/sent.html",
        back=way_back.checked(request.args.get("return_to", "")),
        takes_numbers=_takes_numbers(),
    )


def _takes_numbers() -> bool:
    return services().helping.forgotten_name.takes_numbers


def _form() -> type[ForgottenNameForm]:
    return ForgottenNameByNumberForm if _takes_numbers() else ForgottenNameForm


def _sent(address: str, work: str, return_to: str) -> Response:
    stranger = Stranger(address=client_address(), work=work, agent=client_agent())
    services().helping.forgotten_name.ask(address, stranger, now=services().clock())
    return see_other("forgotten_name.sent", return_to=return_to or None)


def _ask(form: ForgottenNameForm) -> str:
    work, now = services().work, services().clock()
    # What WTForms would otherwise show again is spent.
    form.work.raw_data, form.work.data = None, ""
    form.ticket.raw_data, form.ticket.data = None, work.waiting_ticket(PURPOSE, client_address(), now)
    challenge = work.new_challenge(PURPOSE, client_address(), now)
    back = way_back.checked(form.return_to.data or "")
    return render_template(
        "forgotten_name/ask.html",
        form=form,
        challenge=json.dumps(challenge),
        back=back,
        takes_numbers=_takes_numbers(),
    )
