"""Who lost the password, and the work or the wait before an attempt starts."""

import datetime as dt
import json

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from flows.attempt import Attempt
from flows.errors import TooSoon, WorkNotDone
from gateway.browser import browser_secret
from gateway.cookies import Cookie, set_cookie
from gateway.errors import ShownIn
from gateway.forms import ButtonForm, IdentifierForm
from gateway.pages import way_back
from gateway.pages.answers import browser_digest, client_address, see_other
from gateway.pages.reset import pages
from gateway.sealed_text import open_text, seal_text
from gateway.services import services

PURPOSE = "reset"
PUT_OFF = "put_off"
LONGEST_RETURN_TO = 4096


@pages.get("/reset")
def start() -> ResponseReturnValue:
    """Ask who lost the password."""
    form = IdentifierForm(formdata=None)
    form.identifier.data = request.args.get("identifier", "") or request.args.get("username", "")
    form.return_to.data = request.args.get("return_to", "")
    return _ask_who(form)


@pages.post("/reset")
def begin() -> ResponseReturnValue:
    """Start an attempt; answers alike for every name, before anything is looked up."""
    form = IdentifierForm()
    if not form.validate_on_submit():
        return _ask_who(form), 422
    identifier, return_to = str(form.identifier.data), str(form.return_to.data or "")
    work = str(form.work.data or form.ticket.data or "")
    with ShownIn(form, "identifier") as shown:
        try:
            return _begun(_start(identifier, work), return_to)
        except TooSoon as error:
            return _put_off(identifier, work, return_to, error.retry_after)
    return _ask_who(form), shown.status


@pages.get("/reset/wait")
def wait() -> ResponseReturnValue:
    """Let a browser without script wait on the server's clock instead of working (S16)."""
    kept = _kept()
    if not kept:
        return see_other("reset.start")
    ready_at = dt.datetime.fromisoformat(kept["ready_at"])
    left = max(dt.timedelta(), ready_at - services().clock())
    return render_template(
        "reset/wait.html", form=ButtonForm(formdata=None), left=left, kept=request.args["kept"]
    )


@pages.post("/reset/wait")
def go_on() -> ResponseReturnValue:
    """Start the attempt that was put off."""
    kept = _kept()
    if not kept:
        return see_other("reset.start")
    try:
        return _begun(_start(kept["identifier"], kept["ticket"]), kept["return_to"])
    except TooSoon as error:
        return _put_off(kept["identifier"], kept["ticket"], kept["return_to"], error.retry_after)
    except WorkNotDone:
        return see_other("reset.start")


def _kept() -> dict[str, str]:
    """Return what was put off; nothing where the address was not made for this browser."""
    kept = open_text(services().vault, request.args.get("kept", ""), PUT_OFF)
    return kept if kept.get("browser") == browser_digest() else {}


def _start(identifier: str, work: str) -> Attempt:
    return services().reset.start(
        identifier,
        address=client_address(),
        browser=browser_secret(),
        work=work,
        now=services().clock(),
    )


def _begun(attempt: Attempt, return_to: str) -> Response:
    way_back.remember(attempt.id, return_to)
    response = see_other("reset.choose")
    set_cookie(response, services().settings.gateway, Cookie.ATTEMPT, attempt.id)
    return response


def _put_off(identifier: str, ticket: str, return_to: str, left: dt.timedelta) -> Response:
    kept = {
        "browser": browser_digest(),
        "identifier": identifier,
        "ticket": ticket,
        "return_to": return_to if len(return_to) <= LONGEST_RETURN_TO else "",
        "ready_at": (services().clock() + left).isoformat(),
    }
    return see_other("reset.wait", kept=seal_text(services().vault, kept, PUT_OFF))


def _ask_who(form: IdentifierForm) -> str:
    work, now = services().work, services().clock()
    # What WTForms would otherwise show again is spent.
    form.work.raw_data, form.work.data = None, ""
    form.ticket.raw_data, form.ticket.data = None, work.waiting_ticket(PURPOSE, client_address(), now)
    challenge = work.new_challenge(PURPOSE, client_address(), now)
    back = way_back.checked(form.return_to.data or "")
    return render_template("reset/start.html", form=form, challenge=json.dumps(challenge), back=back)
