"""Which way to prove, and the code."""

import datetime as dt

from flask import render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from flows.errors import AttemptExpired, Unavailable
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.offered_kind import OfferedKind
from gateway.browser import browser_secret
from gateway.errors import ShownIn
from gateway.forms import ButtonForm, CodeForm, KindForm
from gateway.pages import way_back
from gateway.pages.answers import client_address, client_agent, see_other
from gateway.pages.asking import asking, what_was_asked
from gateway.pages.identity import allow_buttons_to
from gateway.pages.reset import attempt_at, attempt_id, go_to, journey, page_of, pages
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
    offer = next((offer for offer in _offered(attempt) if offer.choice == form.kind.data), None)
    if offer is None:
        form.kind.errors = [_("Choose one of the ways")]
        return _offer(attempt, form), 422
    if offer.asks_destination:
        return go_to("number", by=offer.choice)
    with ShownIn(form, "kind") as shown:
        send_code(offer.kind, offer.way)
        return go_to("code")
    return _offer(attempt, form), shown.status


@pages.get("/code")
def code() -> ResponseReturnValue:
    """Ask for the code."""
    attempt = attempt_at(Stage.PROVE)
    return _ask_code(attempt, asking(_kind(attempt)).form(formdata=None))


@pages.post("/code")
def check() -> ResponseReturnValue:
    """Check the code."""
    attempt = attempt_at(Stage.PROVE)
    form = asking(_kind(attempt)).form()
    if not form.validate_on_submit():
        return _ask_code(attempt, form), 422
    try:
        with ShownIn(form, "code", form.refusals) as shown:
            proved = journey().verify(
                attempt.id, form.answer(), browser=browser_secret(), now=services().clock()
            )
            return see_other(page_of(proved))
    except Unavailable:
        return _too_early(attempt, form)
    return _ask_code(attempt, form), shown.status


@pages.post("/resend")
def resend() -> ResponseReturnValue:
    """Send a new code by the same way; the old one is void (S16)."""
    attempt = attempt_at(Stage.PROVE)
    if attempt.challenge is None:
        raise AttemptExpired
    form = asking(_kind(attempt)).form(formdata=None)
    with ShownIn(form, "code") as shown:
        send_code(_kind(attempt), attempt.challenge.way, attempt.challenge.destination)
        return go_to("code")
    return _ask_code(attempt, form), shown.status


def _too_early(attempt: Attempt, form: CodeForm) -> ResponseReturnValue:
    form.code.errors = [_("That was quick, and nothing is lost. Please press the button again in a moment")]
    return _ask_code(attempt, form), 503, {"Retry-After": "5"}


def _kind(attempt: Attempt) -> str:
    return attempt.challenge.kind if attempt.challenge else ""


def send_code(kind: str, way: str, destination: str = "") -> None:
    """Open a challenge of this browser's attempt; see `Journey.send`."""
    journey().send(
        attempt_id(),
        kind,
        way=way,
        destination=destination,
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
        back=way_back.of(attempt),
    )


def _ask_code(attempt: Attempt, form: CodeForm) -> str:
    challenge = attempt.challenge
    if challenge is None:
        raise AttemptExpired
    offer = next((offer for offer in _offered(attempt) if offer.kind == challenge.kind), None)
    asked = what_was_asked(challenge.asked)
    if asking(challenge.kind).leads_elsewhere:
        allow_buttons_to(asked or ())
    wait = dt.timedelta(seconds=services().settings.limits.resend_seconds)
    return render_template(
        "reset/code.html",
        form=form,
        button=ButtonForm(formdata=None),
        attempt=attempt,
        asking=asking(challenge.kind),
        asked=asked,
        start_elsewhere=url_for(".elsewhere"),
        masked=offer.masked if offer else (),
        way=challenge.way,
        typed_number=challenge.destination,
        is_stranger=not attempt.proofs,
        reference=attempt.reference,
        sent_at=challenge.sent_at,
        expires_at=challenge.expires_at,
        may_switch=len(_offered(attempt)) > 1,
        resend_at=challenge.sent_at + wait,
        back=way_back.of(attempt),
    )
