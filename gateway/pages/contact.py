"""Asking for help: the organisation's own helpdesk, or a form that mails whoever may help."""

import json

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.errors import TooSoon, WorkNotDone
from flows.help.contact import PURPOSE, Trouble
from flows.help.requests import Stranger
from gateway.errors import ShownIn
from gateway.help_forms import TROUBLES, ContactForm
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.put_off import put_off, waiting_page, what_was_put_off
from gateway.sealed_text import open_text, seal_text
from gateway.services import services

pages = Blueprint("contact", __name__)
_SENT = "help asked"


@pages.get("")
def start() -> ResponseReturnValue:
    """Say whom to turn to, or ask who needs help."""
    settings = services().settings.contact
    if settings.own or not settings.form:
        return render_template("contact/own.html", own=settings.own)
    form = ContactForm(formdata=None)
    form.identifier.data = request.args.get("identifier", "")
    return _ask(form)


@pages.post("")
def begin() -> ResponseReturnValue:
    """Ask for help; answers alike for every name, before anything is looked up."""
    _require_form()
    form = ContactForm()
    if not form.validate_on_submit():
        return _ask(form), 422
    identifier, trouble = str(form.identifier.data), Trouble(form.trouble.data)
    work = str(form.work.data or form.ticket.data or "")
    with ShownIn(form, "identifier") as shown:
        try:
            return _asked(identifier, trouble, work)
        except TooSoon as error:
            facts = {"identifier": identifier, "trouble": trouble.value, "ticket": work}
            return see_other("contact.wait", kept=put_off(PURPOSE, facts, error.retry_after))
    return _ask(form), shown.status


@pages.get("/wait")
def wait() -> ResponseReturnValue:
    """Let a browser without script wait."""
    kept = what_was_put_off(PURPOSE)
    return waiting_page(kept, _("Help by your organisation")) if kept else see_other("contact.start")


@pages.post("/wait")
def go_on() -> ResponseReturnValue:
    """Go on with what was put off."""
    kept = what_was_put_off(PURPOSE)
    if not kept:
        return see_other("contact.start")
    try:
        return _asked(kept["identifier"], Trouble(kept["trouble"]), kept["ticket"])
    except TooSoon as error:
        return see_other("contact.wait", kept=put_off(PURPOSE, kept, error.retry_after))
    except WorkNotDone:
        return see_other("contact.start")


@pages.get("/sent")
def sent() -> ResponseReturnValue:
    """Say what happens now, whatever was typed, with the reference to tell."""
    kept = open_text(services().vault, request.args.get("asked", ""), _SENT)
    if not kept:
        return see_other("contact.start")
    return render_template("contact/sent.html", reference=kept["reference"])


def _asked(identifier: str, trouble: Trouble, work: str) -> Response:
    stranger = Stranger(address=client_address(), work=work, agent=client_agent())
    reference = services().helping.contact.ask(identifier, trouble, stranger, now=services().clock())
    # Sealed, so that nobody can send people to a page of ours that names a reference of his own.
    asked = seal_text(services().vault, {"reference": reference}, _SENT)
    return see_other("contact.sent", asked=asked)


def _ask(form: ContactForm) -> str:
    work, now = services().work, services().clock()
    # What WTForms would otherwise show again is spent.
    form.work.raw_data, form.work.data = None, ""
    form.ticket.raw_data, form.ticket.data = None, work.waiting_ticket(PURPOSE, client_address(), now)
    challenge = work.new_challenge(PURPOSE, client_address(), now)
    return render_template("contact/ask.html", form=form, challenge=json.dumps(challenge), troubles=TROUBLES)


def _require_form() -> None:
    settings = services().settings.contact
    if settings.own or not settings.form:
        abort(404)
