"""Who is signed in to our own pages, and the way to the sign-in where nobody is."""

from flask import Response, g, redirect, request
from werkzeug.exceptions import HTTPException

from flows.registering.registration import Member
from gateway.cookies import Cookie, read_cookie
from gateway.errors import page_of_stop
from gateway.i18n import choose_language
from gateway.pages.answers import as_response, browser_digest
from gateway.portal_session import PortalSession
from gateway.services import services
from idp_plugin.base import SignIn


class SignInFirst(HTTPException):
    """Nobody is signed in: a visit leads through the provider and back, a form sent in vain says so."""

    def __init__(self, next_path: str = "") -> None:
        if request.method in {"GET", "HEAD"}:
            answer = sign_in_and_return_to(next_path or request.full_path.rstrip("?"))
        else:
            answer = as_response(page_of_stop("signed_out", 401))
        super().__init__(response=answer)


def sign_in_and_return_to(path: str) -> Response:
    """Send the browser to the provider; it comes back to a path of ours."""
    return as_response(
        redirect(services().signin.begin(path, browser=browser_digest(), now=services().clock()), 303)
    )


def session_token() -> str:
    """Return what the browser's portal cookie holds."""
    return read_cookie(request, services().settings.gateway, Cookie.SESSION)


def current_session() -> PortalSession | None:
    """Return the portal session of this request, if there is one; read once."""
    if "portal_session" not in g:
        g.portal_session = services().portal_sessions.read(session_token(), now=services().clock())
    found: PortalSession | None = g.portal_session
    return found


def signed_in() -> PortalSession:
    """Return the portal session.

    Raises:
        SignInFirst: There is none.
    """
    session = current_session()
    if session is None:
        raise SignInFirst
    return session


def member(held: SignIn | None = None) -> Member:
    """Return the signed-in person as flows know one, with the sign-in that waits, if one does."""
    session = signed_in()
    return Member(
        subject=session.subject,
        session=session.id,
        groups=session.groups,
        roles=session.roles,
        client_id=held.client_id if held else "",
        protocol=held.protocol if held else "",
        client_address=held.client_address if held else "",
        amr=session.amr,
        locale=choose_language(),
    )
