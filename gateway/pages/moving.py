"""Going on on another device, by the link in a message: the code is typed here, and counts here (S15)."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from flows.recovery.journey import Journey
from flows.recovery.moving import Move
from gateway import wording
from gateway.browser import browser_secret
from gateway.cookies import Cookie, set_cookie
from gateway.errors import ShownIn, page_of_stop
from gateway.forms import CodeForm
from gateway.pages.answers import see_other
from gateway.pages.reset import journey_of
from gateway.services import services

pages = Blueprint("moving", __name__)


@pages.get("/here/<reference>")
def show(reference: str) -> ResponseReturnValue:
    """Ask for the code; opening the link changes nothing, whoever follows it (rule 6)."""
    move = services().moves.read(reference)
    return _ask(move, reference, CodeForm(formdata=None)) if move else _too_old()


@pages.post("/here/<reference>")
def go_on(reference: str) -> ResponseReturnValue:
    """Go on in this browser, if the code is right; in the first one it is over then."""
    move, form = services().moves.read(reference), CodeForm()
    if move is None:
        return _too_old()
    if not form.validate_on_submit():
        return _ask(move, reference, form), 422
    with ShownIn(form, "code") as shown:
        journey: Journey = journey_of(move.purpose)
        journey.move(move, str(form.code.data), browser=browser_secret(), now=services().clock())
        response = see_other(f"{move.purpose}.resume")
        set_cookie(response, services().settings.gateway, Cookie.ATTEMPT, move.attempt)
        return response
    return _ask(move, reference, form), shown.status


def _ask(move: Move, reference: str, form: CodeForm) -> str:
    return render_template(
        "moving.html", form=form, reference=reference, caption=wording.JOURNEYS[move.purpose]
    )


def _too_old() -> ResponseReturnValue:
    return page_of_stop("old_link", 410)
