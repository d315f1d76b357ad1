"""Who lost the password, and the work or the wait before an attempt starts."""

import datetime as dt
import json

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue

from flows.attempt import Attempt
from flows.errors import TooSoon
from gateway.browser import browser_secret
from gateway.cookies import Cookie, set_cookie
from gateway.errors import ShownIn
from gateway.forms import ButtonForm, IdentifierForm
from gateway.pages import way_back
from gateway.pages.answers import browser_digest, client_address, see_other
from gateway.pages.reset import pages
from gateway.services import services

PURPOSE = "reset"
PUT_OFF = "put_off"
PUT_OFF_LIFETIME = dt.timedelta(minutes=10)


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
    kept = services().expiring.peek(PUT_OFF, browser_digest())
    if kept is None:
        return see_other("reset.start")
    ready_at = dt.datetime.fromisoformat(json.loads(kept)["ready_at"])
    left = max(dt.timedelta(), ready_at - services().clock())
    return render_template("reset/wait.html", form=ButtonForm(), left=left, ready_at=ready_at)


@pages.post("/reset/wait")
def go_on() -> ResponseReturnValue:
    """Start the attempt that was put off."""
    kept = services().expiring.peek(PUT_OFF, browser_digest())
    if kept is None:
        return see_other("reset.start")
    put_off = json.loads(kept)
    try:
        answer = _begun(_start(put_off["identifier"], put_off["ticket"]), put_off["return_to"])
    except TooSoon as error:
        return _put_off(put_off["identifier"], put_off["ticket"], put_off["return_to"], error.retry_after)
    services().expiring.drop(PUT_OFF, browser_digest())
    return answer


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
    ready_at = services().clock() + left
    kept = {
        "identifier": identifier,
        "ticket": ticket,
        "return_to": return_to,
        "ready_at": ready_at.isoformat(),
    }
    services().expiring.put(PUT_OFF, browser_digest(), json.dumps(kept).encode(), ttl=PUT_OFF_LIFETIME)
    return see_other("reset.wait")


def _ask_who(form: IdentifierForm) -> str:
    work, now = services().work, services().clock()
    # What WTForms would otherwise show again is spent.
    form.work.raw_data, form.work.data = None, ""
    form.ticket.raw_data, form.ticket.data = None, work.waiting_ticket(PURPOSE, client_address(), now)
    challenge = work.new_challenge(PURPOSE, client_address(), now)
    back = way_back.checked(form.return_to.data or "")
    return render_template("reset/start.html", form=form, challenge=json.dumps(challenge), back=back)
