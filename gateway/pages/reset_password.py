"""The new password, and what happened with it."""

import datetime as dt

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.errors import WeakPassword
from flows.passwords.finding import Finding
from flows.passwords.suggestion import Suggestion
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.password_write import Finished
from gateway.browser import browser_secret
from gateway.forms import PASSWORD_LENGTH, NewPasswordForm
from gateway.known_device import remember_success
from gateway.pages import finished, new_password, way_back
from gateway.pages.answers import see_other
from gateway.pages.reset import attempt_at
from gateway.services import services

pages = Blueprint("reset_password", __name__)

FINISHED = "finished_reset"
FINISHED_LIFETIME = dt.timedelta(minutes=15)


@pages.get("/password")
def password() -> ResponseReturnValue:
    """Ask for the new password."""
    attempt = attempt_at(Stage.NEW_PASSWORD)
    return _ask_password(attempt, NewPasswordForm(formdata=None))


@pages.post("/password")
def set_password() -> ResponseReturnValue:
    """Write the new password."""
    attempt, form = attempt_at(Stage.NEW_PASSWORD), NewPasswordForm()
    if not form.validate_on_submit():
        return _ask_password(attempt, form), 422
    try:
        written = services().reset.set_password(
            attempt.id, str(form.password.data), browser=browser_secret(), now=services().clock()
        )
    except WeakPassword as refused:
        form.password.errors = [_("Choose another password. This one does not fit the rules below")]
        return _ask_password(attempt, form, refused.findings), 422
    _remember(attempt.id, written)
    return remember_success(see_other("reset_password.done"), attempt)


@pages.get("/suggestion")
def suggested_before() -> ResponseReturnValue:
    """Lead back whoever opens the address again: a suggestion is shown once."""
    return see_other("reset_password.password")


@pages.post("/suggestion")
def suggestion() -> ResponseReturnValue:
    """Show a password made up by chance, once, and type it in; nothing is kept."""
    attempt = attempt_at(Stage.NEW_PASSWORD)
    services().reset.count_finding(attempt, services().clock())
    suggested = services().reset.suggest(attempt)
    form = NewPasswordForm(formdata=None)
    if suggested is None:
        form.password.errors = [_("No password of ours fits all the rules. Please think of one yourself")]
    return _ask_password(attempt, form, suggested=suggested)


@pages.post("/findings")
def findings() -> ResponseReturnValue:
    """Tell what the rules say of a candidate, while it is typed."""
    attempt = attempt_at(Stage.NEW_PASSWORD)
    services().reset.count_finding(attempt, services().clock())
    candidate = request.form.get("password", "")[:PASSWORD_LENGTH]
    found = services().reset.findings(attempt, candidate)
    return jsonify(new_password.told(found))


@pages.get("/done")
def done() -> ResponseReturnValue:
    """Say that the password was changed, and what became of the sessions."""
    attempt = attempt_at(Stage.DONE)
    kept = finished.from_bytes(services().expiring.peek(FINISHED, attempt.id))
    return render_template("reset/done.html", finished=kept, back=way_back.of(attempt))


def _remember(attempt_id: str, done: Finished) -> None:
    services().expiring.put(FINISHED, attempt_id, finished.to_bytes(done), ttl=FINISHED_LIFETIME)


def _ask_password(
    attempt: Attempt,
    form: NewPasswordForm,
    refused: tuple[Finding, ...] = (),
    *,
    suggested: Suggestion | None = None,
) -> str:
    # The field comes back empty, so nothing is said of what was in it unless that was wrong.
    judged = str(form.password.data or "") if form.password.errors else ""
    typed = suggested.password if suggested else judged[:PASSWORD_LENGTH]
    findings = (*services().reset.findings(attempt, typed), *refused)
    return render_template(
        "reset/password.html",
        form=form,
        new=new_password.described(findings, typed=typed, suggestion=suggested),
        username=attempt.identifier,
        back=way_back.of(attempt),
    )
