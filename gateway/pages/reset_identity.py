"""A reset goes on at a further provider, and comes back."""

from flask import request, url_for
from flask.typing import ResponseReturnValue

from flows.recovery.attempt import Stage
from gateway.identity_signin import Errand
from gateway.pages.identity import sign_in_at
from gateway.pages.reset import attempt_at, pages
from gateway.purpose import purpose_of_page


@pages.post("/elsewhere")
def elsewhere() -> ResponseReturnValue:
    """Send the browser to the provider; the start depends on nobody (S4)."""
    attempt = attempt_at(Stage.PROVE)
    errand = Errand(purpose_of_page(), attempt.id, url_for(".code"))
    return sign_in_at(request.form.get("provider", ""), errand)
