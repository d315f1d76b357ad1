"""Which language a page speaks: the address first, then the person's choice, then the browser."""

from flask import Flask, Response, request
from flask_babel import Babel, get_locale

from gateway.cookies import Cookie, read_cookie, set_cookie
from gateway.services import services

LANGUAGES = ("en",)
"""Complete translations, the fallback first."""
ASKED_BY = ("lang", "mkt", "ui_locales")
"""Parameters of the address; `ui_locales` is OpenID Connect's space-separated list."""


def register_languages(app: Flask) -> None:
    """Let gettext, dates and templates speak the language of each request."""
    Babel(app, locale_selector=choose_language, default_timezone="UTC")
    app.after_request(_remember)
    app.jinja_env.globals["language"] = _language
    app.jinja_env.globals["direction"] = _direction


def choose_language() -> str:
    """Return the language for this request, always one of `LANGUAGES`."""
    return _asked() or _offered(_remembered()) or request.accept_languages.best_match(LANGUAGES, LANGUAGES[0])


def _asked() -> str | None:
    if not request.query_string.isascii():
        return None
    wanted = (tag for name in ASKED_BY for tag in request.args.get(name, "").split())
    return next((language for tag in wanted if (language := _offered(tag))), None)


def _offered(tag: str) -> str | None:
    language = tag.replace("_", "-").split("-")[0].lower()
    return language if language in LANGUAGES else None


def _remembered() -> str:
    return read_cookie(request, services().settings.gateway, Cookie.LANGUAGE)


def _remember(response: Response) -> Response:
    asked = _asked()
    if asked and asked != _remembered():
        set_cookie(response, services().settings.gateway, Cookie.LANGUAGE, asked)
    return response


def _language() -> str:
    return str(get_locale() or LANGUAGES[0]).replace("_", "-")


def _direction() -> str:
    locale = get_locale()
    return locale.text_direction if locale else "ltr"
