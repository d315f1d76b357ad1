"""The whole number first: what is typed is answered alike whoever's it is, and compared in the queue (S4)."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from flows.authenticators import phone_number
from flows.recovery.attempt import Attempt, Stage
from flows.recovery.offered_kind import OfferedKind
from gateway.errors import ShownIn
from gateway.forms import NumberForm
from gateway.pages import way_back
from gateway.pages.reset import Elsewhere, attempt_at, go_to, journey, pages
from gateway.pages.reset_proof import send_code
from gateway.services import services


@pages.get("/number")
def number() -> ResponseReturnValue:
    """Ask for the number that a code should go to."""
    attempt = attempt_at(Stage.CHOOSE, Stage.PROVE)
    return _ask(attempt, _chosen(attempt), NumberForm(formdata=None))


@pages.post("/number")
def send_to_number() -> ResponseReturnValue:
    """Send a code to it, if it is the one that was registered."""
    attempt, form = attempt_at(Stage.CHOOSE, Stage.PROVE), NumberForm()
    offer = _chosen(attempt)
    if not form.validate_on_submit():
        return _ask(attempt, offer, form), 422
    with ShownIn(form, "number") as shown:
        # Only its shape is looked at here, which depends on nobody.
        typed = phone_number.parse(str(form.number.data), services().settings.messages.default_region)
        send_code(offer.kind, offer.way, str(typed))
        return go_to("code")
    return _ask(attempt, offer, form), shown.status


def _chosen(attempt: Attempt) -> OfferedKind:
    offered = journey().offered(attempt, now=services().clock())
    chosen = request.args.get("by", "")
    offer = next((offer for offer in offered if offer.choice == chosen and offer.asks_destination), None)
    if offer is None:
        raise Elsewhere(attempt)
    return offer


def _ask(attempt: Attempt, offer: OfferedKind, form: NumberForm) -> str:
    return render_template(
        "reset/number.html",
        form=form,
        attempt=attempt,
        offer=offer,
        region=services().settings.messages.default_region,
        back=way_back.of(attempt),
    )
