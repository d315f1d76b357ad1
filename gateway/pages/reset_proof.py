"""Which way to prove, and the code."""

import datetime as dt

from flask import render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.attempt import Attempt, Stage
from flows.errors import AttemptExpired
from flows.reset import OfferedKind
from gateway.browser import browser_secret
from gateway.errors import ShownIn
from gateway.forms import ButtonForm, CodeForm, KindForm
from gateway.pages import way_back
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.reset import attempt_at, attempt_id, pages
from gateway.services import services


@pages.get("/reset/choose")
def choose() -> ResponseReturnValue:
    """Offer the ways to prove: the policy's until the first proof, the person's own afterwards (S4)."""
    return _offer(attempt_at(Stage.CHOOSE, Stage.PROVE), KindForm(formdata=None))


@pages.post("/reset/choose")
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
        return see_other("reset.code")
    return _offer(attempt, form), shown.status


@pages.get("/reset/code")
def code() -> ResponseReturnValue:
    """Ask for the code."""
    return _ask_code(attempt_at(Stage.PROVE), CodeForm(formdata=None))


@pages.post("/reset/code")
def check() -> ResponseReturnValue:
    """Check the code."""
    attempt, form = attempt_at(Stage.PROVE), CodeForm()
    if not form.validate_on_submit():
        return _ask_code(attempt, form), 422
    with ShownIn(form, "code") as shown:
        services().reset.verify(
            attempt.id, str(form.code.data), browser=browser_secret(), now=services().clock()
        )
        return see_other("reset.resume")
    return _ask_code(attempt, form), shown.status


@pages.post("/reset/resend")
def resend() -> ResponseReturnValue:
    """Send a new code by the same way; the old one is void (S16)."""
    attempt, form = attempt_at(Stage.PROVE), CodeForm(formdata=None)
    with ShownIn(form, "code") as shown:
        _send(attempt.challenge.kind if attempt.challenge else "")
        return see_other("reset.code")
    return _ask_code(attempt, form), shown.status


def _send(kind: str) -> None:
    services().reset.send(
        attempt_id(),
        kind,
        browser=browser_secret(),
        address=client_address(),
        now=services().clock(),
        agent=client_agent(),
    )


def _offered(attempt: Attempt) -> tuple[OfferedKind, ...]:
    return services().reset.offered(attempt, now=services().clock())


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
