"""The reset journey as pages; read `reset_start`, `reset_proof` and `reset_password` in this order.

Every page asks the facts where the attempt stands, and one that does not fit sends the browser to the one
that does: two tabs and the back button always end up somewhere sensible.
"""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from flows.attempt import Attempt, Stage
from flows.errors import AttemptExpired
from gateway.browser import browser_secret
from gateway.cookies import Cookie, read_cookie
from gateway.errors import page_of_stop
from gateway.pages.answers import see_other
from gateway.services import services

pages = Blueprint("reset", __name__)

PAGE_OF_STAGE = {
    Stage.CHOOSE: "reset.choose",
    Stage.PROVE: "reset.code",
    Stage.NEW_PASSWORD: "reset.password",
    Stage.DONE: "reset.done",
    Stage.OVER: "reset.over",
}


class Elsewhere(HTTPException):
    """The attempt stands at another page."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(response=see_other(PAGE_OF_STAGE[stage]))


def attempt_id() -> str:
    """Return the id of this browser's attempt, or the empty string."""
    return read_cookie(request, services().settings.gateway, Cookie.ATTEMPT)


def attempt_at(*stages: Stage) -> Attempt:
    """Return this browser's attempt.

    Raises:
        AttemptExpired: There is none any more.
        Elsewhere: It stands at none of these stages; the answer leads to where it does.
    """
    if not attempt_id():
        raise AttemptExpired
    attempt = services().reset.read(attempt_id(), browser=browser_secret(), now=services().clock())
    if attempt.stage not in stages:
        raise Elsewhere(attempt.stage)
    return attempt


@pages.get("/reset/resume")
def resume() -> ResponseReturnValue:
    """Lead to where the attempt stands."""
    return see_other(PAGE_OF_STAGE[attempt_at(*Stage).stage])


@pages.get("/reset/over")
def over() -> ResponseReturnValue:
    """Say that the attempt is over."""
    attempt_at(Stage.OVER)
    return page_of_stop("over", 410)
