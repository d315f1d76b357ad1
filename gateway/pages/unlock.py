"""The button that ends the locks, and what became of them."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.recovery.attempt import Attempt, Locks, Stage
from gateway.browser import browser_secret
from gateway.forms import ButtonForm
from gateway.known_device import remember_success
from gateway.pages import way_back
from gateway.pages.answers import see_other
from gateway.pages.reset import attempt_at
from gateway.services import services

pages = Blueprint("unlock_account", __name__)


@pages.get("/confirm")
def confirm() -> ResponseReturnValue:
    """Ask for the button: opening a page changes nothing."""
    attempt = attempt_at(Stage.UNLOCK)
    return _ask(attempt, ButtonForm(formdata=None))


@pages.post("/confirm")
def unlock() -> ResponseReturnValue:
    """End every temporary lock."""
    attempt, form = attempt_at(Stage.UNLOCK), ButtonForm()
    if not form.validate_on_submit():
        return _ask(attempt, form), 422
    services().unlock.unlock(attempt.id, browser=browser_secret(), now=services().clock())
    return remember_success(see_other("unlock_account.done"), attempt)


@pages.get("/done")
def done() -> ResponseReturnValue:
    """Say which locks there were."""
    attempt = attempt_at(Stage.DONE)
    locks = attempt.locks or Locks("unknown", None)
    return render_template(
        "unlock/done.html", locks=locks, heading=_heading(locks), back=way_back.of(attempt)
    )


def _heading(locks: Locks) -> str:
    if "unknown" in {locks.directory, locks.provider}:
        return str(_("Please try to sign in"))
    return str(_("You can sign in again") if locks.ended else _("Your account was not locked"))


def _ask(attempt: Attempt, form: ButtonForm) -> str:
    return render_template("unlock/confirm.html", form=form, back=way_back.of(attempt))
