"""Which way to prove, and the code."""

import datetime as dt

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.attempt import Attempt, Stage
from flows.errors import AttemptExpired, Unavailable
from flows.journey import OfferedKind
from gateway.browser import browser_secret
from gateway.errors import ShownIn
from gateway.forms import ButtonForm, CodeForm, KindForm, code_form
from gateway.pages import way_back
from gateway.pages.answers import client_address, client_agent
from gateway.pages.reset import attempt_at, attempt_id, go_to, journey, pages
from gateway.services import services


@pages.get("/choose")
def choose() -> ResponseReturnValue:
    """Offer the ways to prove: the policy's until the first proof, the person's own afterwards (S4)."""
    return _offer(attempt_at(Stage.CHOOSE, Stage.PROVE), KindForm(formdata=None))


@pages.post("/choose")
def send() -> ResponseReturnValue:
    """Ask for a code by the chosen way."""
    attempt, form = attempt_at(Stage.CHOOSE, Stage.PROVE), KindForm()
    if not form.validate_on_submit():
        return _offer(attempt, form), 422
    if form.kind.data not in {offer.kind for offer in _offered(attempt)}:
        form.kind.errors = [_("Choose one of the ways")]
        return _offer(attempt, form), 422
    with ShownIn(form, "kind") as shown:
        _send(str(form.kind.data))
        return go_to("code")
    return _offer(attempt, form), shown.status


@pages.get("/code")
def code() -> ResponseReturnValue:
    """Ask for the code."""
    attempt = attempt_at(Stage.PROVE)
    return _ask_code(attempt, code_form(_kind(attempt))(formdata=None))


@pages.post("/code")
def check() -> ResponseReturnValue:
    """Check the code."""
    attempt = attempt_at(Stage.PROVE)
    form = code_form(_kind(attempt))()
    if not form.validate_on_submit():
        return _ask_code(attempt, form), 422
    try:
        with ShownIn(form, "code", form.refusals) as shown:
            journey().verify(
                attempt.id, str(form.code.data), browser=browser_secret(), now=services().clock()
            )
            return go_to("resume")
    except Unavailable:
        return _too_early(attempt, form)
    return _ask_code(attempt, form), shown.status


@pages.post("/resend")
def resend() -> ResponseReturnValue:
    """Send a new code by the same way; the old one is void (S16)."""
    attempt, form = attempt_at(Stage.PROVE), CodeForm(formdata=None)
    with ShownIn(form, "code") as shown:
        _send(_kind(attempt))
        return go_to("code")
    return _ask_code(attempt, form), shown.status


def _too_early(attempt: Attempt, form: CodeForm) -> ResponseReturnValue:
    form.code.errors = [_("That was quick, and nothing is lost. Please press the button again in a moment")]
    return _ask_code(attempt, form), 503, {"Retry-After": "5"}


def _kind(attempt: Attempt) -> str:
    return attempt.challenge.kind if attempt.challenge else ""


def _send(kind: str) -> None:
    journey().send(
        attempt_id(),
        kind,
        browser=browser_secret(),
        address=client_address(),
        now=services().clock(),
        agent=client_agent(),
    )


def _offered(attempt: Attempt) -> tuple[OfferedKind, ...]:
    return journey().offered(attempt, now=services().clock())


def _offer(attempt: Attempt, form: KindForm) -> str:
    return render_template(
        "reset/choose.html",
        form=form,
        attempt=attempt,
        offered=_offered(attempt),
        back=way_back.of(attempt.id),
    )


def _ask_code(attempt: Attempt, form: CodeForm) -> str:
    challenge = attempt.challenge
    if challenge is None:
        raise AttemptExpired
    offer = next((offer for offer in _offered(attempt) if offer.kind == challenge.kind), None)
    wait = dt.timedelta(seconds=services().settings.limits.resend_seconds)
    return render_template(
        "reset/code.html",
        form=form,
        button=ButtonForm(formdata=None),
        attempt=attempt,
        challenge=challenge,
        masked=offer.masked if offer else (),
        may_switch=len(_offered(attempt)) > 1,
        resend_at=challenge.sent_at + wait,
        back=way_back.of(attempt.id),
    )
