"""Who cannot sign in, and the work or the wait before an attempt starts."""

import datetime as dt
import json

from flask import Response, abort, render_template, request
from flask.typing import ResponseReturnValue

from flows.errors import TooSoon, Unavailable, WorkNotDone
from flows.recovery.attempt import Attempt
from gateway.browser import browser_secret
from gateway.cookies import Cookie, set_cookie
from gateway.errors import ShownIn
from gateway.forms import IdentifierForm
from gateway.known_device import device_token
from gateway.pages import way_back
from gateway.pages.answers import client_address, client_agent
from gateway.pages.put_off import put_off, waiting_page, what_was_put_off
from gateway.pages.reset import go_to, journey, pages
from gateway.purpose import purpose_of_page
from gateway.services import services


@pages.get("")
def start() -> ResponseReturnValue:
    """Ask who cannot sign in."""
    _require_offer()
    form = IdentifierForm(formdata=None)
    form.identifier.data = request.args.get("identifier", "") or request.args.get("username", "")
    form.return_to.data = request.args.get("return_to", "")
    return _ask_who(form)


@pages.post("")
def begin() -> ResponseReturnValue:
    """Start an attempt; answers alike for every name, before anything is looked up."""
    _require_offer()
    form = IdentifierForm()
    if not form.validate_on_submit():
        return _ask_who(form), 422
    identifier, return_to = str(form.identifier.data), str(form.return_to.data or "")
    work = str(form.work.data or form.ticket.data or "")
    with ShownIn(form, "identifier") as shown:
        try:
            return _begun(_start(identifier, work, return_to))
        except TooSoon as error:
            return _put_off(identifier, work, return_to, error.retry_after)
    return _ask_who(form), shown.status


@pages.get("/wait")
def wait() -> ResponseReturnValue:
    """Let a browser without script wait on the server's clock instead of working (S16)."""
    kept = what_was_put_off(purpose_of_page())
    return waiting_page(kept) if kept else go_to("start")


@pages.post("/wait")
def go_on() -> ResponseReturnValue:
    """Start the attempt that was put off."""
    kept = what_was_put_off(purpose_of_page())
    if not kept:
        return go_to("start")
    try:
        return _begun(_start(kept["identifier"], kept["ticket"], kept["return_to"]))
    except TooSoon as error:
        return _put_off(kept["identifier"], kept["ticket"], kept["return_to"], error.retry_after)
    except WorkNotDone:
        return go_to("start")


def _start(identifier: str, work: str, return_to: str) -> Attempt:
    return journey().start(
        identifier,
        address=client_address(),
        browser=browser_secret(),
        work=work,
        now=services().clock(),
        agent=client_agent(),
        device=device_token(),
        return_to=way_back.checked(return_to),
    )


def _begun(attempt: Attempt) -> Response:
    response = go_to("choose")
    set_cookie(response, services().settings.gateway, Cookie.ATTEMPT, attempt.id)
    return response


def _put_off(identifier: str, ticket: str, return_to: str, left: dt.timedelta) -> Response:
    facts = {"identifier": identifier, "ticket": ticket, "return_to": return_to}
    return go_to("wait", kept=put_off(purpose_of_page(), facts, left))


def _ask_who(form: IdentifierForm) -> str:
    work, now, purpose = services().work, services().clock(), purpose_of_page()
    # What WTForms would otherwise show again is spent.
    form.work.raw_data, form.work.data = None, ""
    form.ticket.raw_data, form.ticket.data = None, work.waiting_ticket(purpose, client_address(), now)
    challenge = work.new_challenge(purpose, client_address(), now)
    back = way_back.checked(form.return_to.data or "")
    return render_template(
        "reset/start.html",
        form=form,
        challenge=json.dumps(challenge),
        back=back,
        may_unlock=services().unlock.is_offered(),
        may_change=services().change.is_offered(),
    )


def _require_offer() -> None:
    """Know no page for what the policy allows nobody, nor while no agent works: no name matters (S4).

    Raises:
        Unavailable: Every directory is behind agents, and none of them can be reached.
    """
    if purpose_of_page() != "reset" and not journey().is_offered():
        abort(404)
    if services().writeback.is_down():
        raise Unavailable
