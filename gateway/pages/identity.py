"""Signing in at a further provider, as a proof: begun by a button here, ended at one address for all."""

from urllib.parse import urlsplit, urlunsplit

from flask import Blueprint, Response, redirect, request
from flask.typing import ResponseReturnValue

from flows import errors as flow
from gateway.browser import browser_secret
from gateway.errors import page_of_stop
from gateway.identity_signin import PATH, Errand, Finished
from gateway.pages.answers import as_response, browser_digest, see_other
from gateway.pages.registration import current_member
from gateway.pages.reset import journey_of
from gateway.plane.observe import new_reference
from gateway.purpose import PURPOSES
from gateway.security_headers import allow_forms_to
from gateway.services import services
from gateway.signin import SignInRefused
from idp_plugin.errors import IdpError

pages = Blueprint("identity", __name__)
# What is said beside the button, where nothing came of it.
_PROBLEMS: dict[type[flow.FlowError], str] = {
    flow.WrongCode: "wrong",
    flow.CodeExpired: "stopped",
    flow.Unavailable: "early",
    flow.UnusableAddress: "registered",
}


@pages.get(PATH)
def callback() -> ResponseReturnValue:
    """Take a provider's answer, and hand it to what it was begun for.

    A GET by the protocol; it changes something once, for the browser that began it (rule 5).
    """
    answer = {name: values[0] for name, values in request.args.lists() if len(values) == 1}
    try:
        finished = services().identities.finish(answer, browser=browser_digest(), now=services().clock())
    except SignInRefused:
        return page_of_stop("sign_in_refused", 400, reference=new_reference())
    if not finished.answer:
        return _back(finished.errand, "stopped")
    try:
        return _handed_over(finished)
    except (flow.WrongCode, flow.CodeExpired, flow.Unavailable, flow.UnusableAddress) as problem:
        if isinstance(problem, flow.WrongCode) and problem.attempts_left <= 0:
            raise
        return _back(finished.errand, _PROBLEMS[type(problem)])


def sign_in_at(provider: str, errand: Errand) -> Response:
    """Send the browser to a provider.

    Raises:
        AttemptExpired: There is no such provider any more.
        IdpError: It does not answer.
    """
    if provider not in services().identities.names:
        raise flow.AttemptExpired
    address = services().identities.begin(provider, errand, browser=browser_digest(), now=services().clock())
    return as_response(redirect(address, 303))


def allow_buttons_to(providers: tuple[str, ...]) -> None:
    """Let this page's buttons lead to the providers; to one that does not answer none does."""
    origins = [origin for origin in map(_origin, providers) if origin]
    allow_forms_to(*origins)


def _origin(provider: str) -> str:
    try:
        return services().identities.origin(provider)
    except (IdpError, KeyError):
        return ""


def _handed_over(finished: Finished) -> ResponseReturnValue:
    errand, now = finished.errand, services().clock()
    if errand.what == "bind":
        services().registration.confirm(current_member(), errand.bound_to, finished.answer, now=now)
    elif errand.what == "prove":
        services().registration.prove_confirm(current_member(), errand.bound_to, finished.answer, now=now)
    elif errand.what in PURPOSES:
        journey = journey_of(errand.what)
        journey.verify(errand.bound_to, finished.answer, browser=browser_secret(), now=now)
        return see_other(f"{errand.what}.resume")
    return as_response(redirect(errand.onward, 303))


def _back(errand: Errand, problem: str) -> ResponseReturnValue:
    parts = urlsplit(errand.page)
    query = f"{parts.query}&identity={problem}".lstrip("&")
    return as_response(redirect(urlunsplit(("", "", parts.path, query, "")), 303))
