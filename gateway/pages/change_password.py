"""Changing a password by the old one: signed in, or after a proof where it has expired (S6)."""

import datetime as dt

from flask import Blueprint, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.errors import AttemptExpired, WeakPassword
from flows.passwords.finding import Finding
from flows.passwords.suggestion import Suggestion
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.password_write import Finished
from gateway.browser import browser_secret
from gateway.cookies import Cookie, set_cookie
from gateway.errors import ShownIn
from gateway.forms import PASSWORD_LENGTH
from gateway.help_forms import ChangeForm
from gateway.known_device import remember_success
from gateway.pages import finished, new_password, way_back
from gateway.pages.answers import see_other
from gateway.pages.portal import member, signed_in
from gateway.pages.reset import Elsewhere, attempt_at
from gateway.services import services

pages = Blueprint("change_password", __name__)

FINISHED = "finished_change"
FINISHED_LIFETIME = dt.timedelta(minutes=15)


@pages.get("")
def start() -> ResponseReturnValue:
    """Begin a change by the signed-in person; what stands in its way is said before anything is typed.

    Whoever is sent here again goes on with what was begun.
    """
    person, now = member(), services().clock()
    if _is_begun():
        return see_other("change_password.password")
    attempt = services().change.begin_signed_in(person, browser=browser_secret(), now=now)
    response = see_other("change_password.password")
    set_cookie(response, services().settings.gateway, Cookie.ATTEMPT, attempt.id)
    return response


@pages.get("/password")
def password() -> ResponseReturnValue:
    """Ask for the old password and the new one."""
    return _ask(_own_attempt(), ChangeForm(formdata=None))


@pages.post("/password")
def change() -> ResponseReturnValue:
    """Write the new password, if the old one is right."""
    attempt, form = _own_attempt(), ChangeForm()
    if not form.validate_on_submit():
        return _ask(attempt, form), 422
    with ShownIn(form, "old") as shown:
        try:
            return _changed(attempt, form)
        except WeakPassword as refused:
            form.password.errors = [_("Choose another password. This one does not fit the rules below")]
            return _ask(attempt, form, refused.findings), 422
    return _ask(attempt, form), shown.status


@pages.post("/suggestion")
def suggestion() -> ResponseReturnValue:
    """Show a password made up by chance, once, and type it in; nothing is kept."""
    attempt, form = _own_attempt(), ChangeForm(formdata=None)
    services().change.count_finding(attempt, services().clock())
    suggested = services().change.suggest(attempt)
    if suggested is None:
        form.password.errors = [_("No password of ours fits all the rules. Please think of one yourself")]
    return _ask(attempt, form, suggested=suggested)


@pages.post("/findings")
def findings() -> ResponseReturnValue:
    """Tell what the rules say of a candidate, while it is typed."""
    attempt = _own_attempt()
    services().change.count_finding(attempt, services().clock())
    candidate = request.form.get("password", "")[:PASSWORD_LENGTH]
    return jsonify(new_password.told(services().change.findings(attempt, candidate)))


@pages.get("/done")
def done() -> ResponseReturnValue:
    """Say that the password was changed, and what became of the sessions."""
    attempt = attempt_at(Stage.DONE)
    kept = finished.from_bytes(services().expiring.peek(FINISHED, attempt.id))
    return render_template("reset/done.html", finished=kept, back=way_back.of(attempt))


def _is_begun() -> bool:
    """Tell whether this browser's attempt is one that the signed-in person began."""
    try:
        return _own_attempt().signed_in
    except (AttemptExpired, Elsewhere):
        return False


def _own_attempt() -> Attempt:
    """Return this browser's attempt; one that was begun signed in belongs to who is signed in now.

    Raises:
        AttemptExpired: It is somebody else's.
    """
    attempt = attempt_at(Stage.NEW_PASSWORD)
    if attempt.signed_in and signed_in().subject != attempt.subject:
        raise AttemptExpired
    return attempt


def _changed(attempt: Attempt, form: ChangeForm) -> ResponseReturnValue:
    written = services().change.change(
        attempt.id,
        str(form.old.data),
        str(form.password.data),
        browser=browser_secret(),
        now=services().clock(),
    )
    _remember(attempt.id, written)
    return remember_success(see_other("change_password.done"), attempt)


def _remember(attempt_id: str, done: Finished) -> None:
    services().expiring.put(FINISHED, attempt_id, finished.to_bytes(done), ttl=FINISHED_LIFETIME)


def _ask(
    attempt: Attempt,
    form: ChangeForm,
    refused: tuple[object, ...] = (),
    *,
    suggested: Suggestion | None = None,
) -> str:
    # The field comes back empty, so nothing is said of what was in it unless that was wrong.
    judged = str(form.password.data or "") if form.password.errors else ""
    typed = suggested.password if suggested else judged[:PASSWORD_LENGTH]
    theirs = [finding for finding in refused if isinstance(finding, Finding)]
    findings = (*services().change.findings(attempt, typed), *theirs)
    return render_template(
        "change/password.html",
        form=form,
        new=new_password.described(findings, typed=typed, suggestion=suggested),
        username=signed_in().username if attempt.signed_in else attempt.identifier,
        is_signed_in=attempt.signed_in,
        back=way_back.of(attempt),
    )
