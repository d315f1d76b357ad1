"""The new password, and what happened with it."""

import datetime as dt
import json

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.attempt import Attempt, Stage
from flows.errors import WeakPassword
from flows.password_policy import Finding
from flows.password_write import Finished
from gateway import wording
from gateway.browser import browser_secret
from gateway.forms import PASSWORD_LENGTH, NewPasswordForm
from gateway.pages import way_back
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
        finished = services().reset.set_password(
            attempt.id, str(form.password.data), browser=browser_secret(), now=services().clock()
        )
    except WeakPassword as refused:
        form.password.errors = [_("Choose another password. This one does not fit the rules below")]
        return _ask_password(attempt, form, refused.findings), 422
    _remember(attempt.id, finished)
    return see_other("reset_password.done")


@pages.post("/findings")
def findings() -> ResponseReturnValue:
    """Tell what the rules say of a candidate, while it is typed."""
    attempt = attempt_at(Stage.NEW_PASSWORD)
    candidate = request.form.get("password", "")[:PASSWORD_LENGTH]
    found = services().reset.findings(attempt, candidate)
    return jsonify([{"rule": finding.rule, "holds": finding.holds} for finding in found])


@pages.get("/done")
def done() -> ResponseReturnValue:
    """Say that the password was changed, and what became of the sessions."""
    attempt = attempt_at(Stage.DONE)
    kept = services().expiring.peek(FINISHED, attempt.id)
    finished = Finished(**json.loads(kept)) if kept else Finished(sessions_left=None, notices=0)
    return render_template("reset/done.html", finished=finished, back=way_back.of(attempt.id))


def _remember(attempt_id: str, finished: Finished) -> None:
    facts = {"sessions_left": finished.sessions_left, "notices": finished.notices}
    services().expiring.put(FINISHED, attempt_id, json.dumps(facts).encode(), ttl=FINISHED_LIFETIME)


def _ask_password(attempt: Attempt, form: NewPasswordForm, refused: tuple[object, ...] = ()) -> str:
    typed = form.password.data or ""
    ours = services().reset.findings(attempt, typed)
    theirs = [finding for finding in refused if isinstance(finding, Finding)]
    found = {finding.rule: finding for finding in (*ours, *theirs)}
    rules = [
        {
            "rule": finding.rule,
            "holds": finding.holds if typed else None,
            "sentence": wording.rule_of_password(finding.rule, finding.parameters),
        }
        for finding in found.values()
    ]
    shortest = next((int(f.parameters["count"]) for f in found.values() if f.rule == "length_min"), 8)
    return render_template(
        "reset/password.html", form=form, rules=rules, shortest=shortest, back=way_back.of(attempt.id)
    )
