"""What tells one browser from another: a random secret in a cookie, made on its first visit.

Nothing is kept in the cookie but the secret. The token in our forms is derived from it, so there is no
client-side session to sign, to grow or to go stale.
"""

import re
import secrets

from flask import Flask, Request, Response, g, request
from flask.sessions import SessionInterface, SessionMixin

from gateway.cookies import Cookie, read_cookie, set_cookie
from gateway.services import services

_SHAPE = re.compile(r"[A-Za-z0-9_-]{43}")


class _FormSession(dict[str, object], SessionMixin):
    """The one value that flask-wtf looks for in Flask's session."""


class FormSessions(SessionInterface):
    """Derives the secret of our forms from the browser's own; stores nothing."""

    def open_session(self, app: Flask, request: Request) -> _FormSession:
        """Return the session for this request."""
        del request
        return _FormSession(
            {app.config["WTF_CSRF_FIELD_NAME"]: services().vault.digest(browser_secret(), "form")}
        )

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Keep nothing."""


def register_browser(app: Flask) -> None:
    """Give every visitor a secret, and every form a token that belongs to it."""
    app.config.setdefault("WTF_CSRF_FIELD_NAME", "csrf_token")
    app.session_interface = FormSessions()
    app.after_request(_remember)


def browser_secret() -> str:
    """Return this browser's secret, a new one where it brought none."""
    if "browser_secret" not in g:
        brought = read_cookie(request, services().settings.gateway, Cookie.BROWSER)
        g.is_new_browser = not _SHAPE.fullmatch(brought)
        g.browser_secret = secrets.token_urlsafe(32) if g.is_new_browser else brought
    return str(g.browser_secret)


def begin_anew() -> None:
    """Give this browser another secret: what was open in it sends nothing any more."""
    g.browser_secret, g.is_new_browser = secrets.token_urlsafe(32), True


def is_new_browser() -> bool:
    """Tell whether this request came without our cookie."""
    browser_secret()
    return bool(g.is_new_browser)


def _remember(response: Response) -> Response:
    # Only where a page needed it: a stylesheet or a health check sets no cookie.
    if g.get("is_new_browser") and request.endpoint != "static":
        set_cookie(response, services().settings.gateway, Cookie.BROWSER, browser_secret())
    return response
