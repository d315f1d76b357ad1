"""The page of an invitation: a button that begins the person's own reset, with the usual proofs."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from gateway.browser import browser_secret
from gateway.cookies import Cookie, set_cookie
from gateway.errors import page_of_stop
from gateway.forms import ButtonForm
from gateway.known_device import device_token
from gateway.pages.answers import see_other
from gateway.services import services

pages = Blueprint("invitation", __name__)


@pages.get("/invited/<reference>")
def show(reference: str) -> ResponseReturnValue:
    """Show the button; opening the link changes nothing, whoever follows it (rule 6)."""
    invitation = services().helping.invitations.read(reference, now=services().clock())
    if invitation is None:
        return page_of_stop("old_invitation", 410)
    form = ButtonForm(formdata=None)
    return render_template(
        "invitation.html", form=form, reference=reference, expires_at=invitation.expires_at
    )


@pages.post("/invited/<reference>")
def begin(reference: str) -> ResponseReturnValue:
    """Begin the reset; whoever holds the link still has to prove who they are."""
    attempt = services().helping.invitations.accept(
        reference,
        services().reset,
        browser=browser_secret(),
        device=device_token(),
        now=services().clock(),
    )
    response = see_other("reset.choose")
    set_cookie(response, services().settings.gateway, Cookie.ATTEMPT, attempt.id)
    return response
