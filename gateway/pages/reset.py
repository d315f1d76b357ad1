"""Resets, unlocks and changes as pages; read `reset_start`, `reset_proof`, then `reset_password`, `unlock`
or `change_password`.

The journeys share their pages up to the last proof: the blueprint is registered once for each purpose,
under its name. Every page asks the facts where the attempt stands, and one that does not fit sends the
browser to the one that does: two tabs and the back button always end up somewhere sensible.
"""

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from enforcement.policy import Purpose
from flows.errors import AttemptExpired
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.journey import Journey
from gateway.browser import browser_secret
from gateway.cookies import Cookie, read_cookie
from gateway.errors import page_of_stop
from gateway.pages.answers import see_other
from gateway.purpose import purpose_of_page
from gateway.services import services

pages = Blueprint("reset", __name__)

_PAGE_OF_STAGE: dict[Stage, str] = {
    Stage.CHOOSE: "{purpose}.choose",
    Stage.PROVE: "{purpose}.code",
    Stage.NEW_PASSWORD: "{purpose}_password.password",
    Stage.UNLOCK: "unlock_account.confirm",
    Stage.OVER: "{purpose}.over",
}
_LAST_PAGE: dict[Purpose, str] = {
    "reset": "reset_password.done",
    "unlock": "unlock_account.done",
    "change": "change_password.done",
}


class Elsewhere(HTTPException):
    """The attempt stands at another page."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__(response=see_other(page_of(attempt)))


def page_of(attempt: Attempt) -> str:
    """Return the endpoint of the page where the attempt stands."""
    if attempt.stage is Stage.DONE:
        return _LAST_PAGE[attempt.purpose]
    return _PAGE_OF_STAGE[attempt.stage].format(purpose=attempt.purpose)


def journey() -> Journey:
    """Return the journey of the asked page."""
    return journey_of(purpose_of_page())


def journey_of(purpose: Purpose) -> Journey:
    """Return the journey of a purpose."""
    journeys: dict[Purpose, Journey] = {
        "reset": services().reset,
        "unlock": services().unlock,
        "change": services().change,
    }
    return journeys[purpose]


def go_to(name: str, **values: str) -> Response:
    """Redirect to one of the shared pages of the asked page's journey."""
    return see_other(f"{purpose_of_page()}.{name}", **values)


def attempt_id() -> str:
    """Return the id of this browser's attempt, or the empty string."""
    return read_cookie(request, services().settings.gateway, Cookie.ATTEMPT)


def attempt_at(*stages: Stage) -> Attempt:
    """Return this browser's attempt.

    Raises:
        AttemptExpired: There is none any more, or it was begun for another purpose.
        Elsewhere: It stands at none of these stages; the answer leads to where it does.
    """
    if not attempt_id():
        raise AttemptExpired
    attempt = journey().read(attempt_id(), browser=browser_secret(), now=services().clock())
    if attempt.stage not in stages:
        raise Elsewhere(attempt)
    return attempt


@pages.get("/resume")
def resume() -> ResponseReturnValue:
    """Lead to where the attempt stands."""
    return see_other(page_of(attempt_at(*Stage)))


@pages.get("/over")
def over() -> ResponseReturnValue:
    """Say that the attempt is over."""
    attempt_at(Stage.OVER)
    return page_of_stop("over", 410)
