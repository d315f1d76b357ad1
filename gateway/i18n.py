"""Which language a page speaks: the address first, then the person's choice, then the browser."""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlencode

from babel.support import Translations
from flask import Flask, Response, g, request
from flask_babel import Babel, Domain, get_locale

from gateway.catalogs import LANGUAGES, SOURCE, catalog, language_of
from gateway.cookies import Cookie, read_cookie, set_cookie
from gateway.services import services

CHOSEN_BY = "lang"
ASKED_BY = (CHOSEN_BY, "mkt", "ui_locales")
"""Parameters of the address; `ui_locales` is OpenID Connect's space-separated list."""


@dataclass(frozen=True, slots=True)
class LanguageLink:
    """One choice of the language chooser."""

    language: str
    name: str
    """In the language itself."""
    address: str
    """This page in that language, relative to itself."""


class _Catalogs(Domain):  # type: ignore[misc]  # the library has no types
    """Takes sentences from our own catalogs."""

    def get_translations(self) -> Translations:
        """Return the sentences of this request's language."""
        return catalog(_language())


def register_languages(app: Flask) -> None:
    """Let gettext, dates and templates speak the language of each request."""
    babel = Babel(app, locale_selector=choose_language, default_timezone="UTC")
    babel.domain_instance = _Catalogs()
    for language in LANGUAGES:
        catalog(language)
    app.jinja_env.install_gettext_callables(_said, _said_of_many, newstyle=True)  # type: ignore[attr-defined]
    app.after_request(_remember)
    app.jinja_env.globals["language"] = _language
    app.jinja_env.globals["direction"] = _direction
    app.jinja_env.globals["language_links"] = language_links


def choose_language() -> str:
    """Return the language for this request, always one of `LANGUAGES`."""
    return _asked() or language_of(_remembered()) or _understood() or SOURCE


def language_links() -> tuple[LanguageLink, ...]:
    """Return this page in each language; nothing where following a link would lose what was typed.

    Nor where the address is not ASCII: that is no address, and is refused.
    """
    if request.method not in {"GET", "HEAD"} or not request.query_string.isascii():
        return ()
    kept = tuple((name, value) for name, value in request.args.items(multi=True) if name not in ASKED_BY)
    return _links(kept)


@lru_cache(maxsize=64)
def _links(kept: tuple[tuple[str, str], ...]) -> tuple[LanguageLink, ...]:
    return tuple(
        LanguageLink(language, name, f"?{urlencode([*kept, (CHOSEN_BY, language)])}")
        for language, name in LANGUAGES.items()
    )


def _asked() -> str | None:
    if not request.query_string.isascii():
        return None
    wanted = (tag for name in ASKED_BY for tag in request.args.get(name, "").split())
    return next((language for tag in wanted if (language := language_of(tag))), None)


def _understood() -> str | None:
    """Return the best of what the browser states.

    Werkzeug's own match prefers an exact name: English for `de-AT, en;q=0.5`.
    """
    wanted = (tag for tag, quality in request.accept_languages if quality > 0)
    return next((language for tag in wanted if (language := language_of(tag))), None)


def _remembered() -> str:
    return read_cookie(request, services().settings.gateway, Cookie.LANGUAGE)


def _remember(response: Response) -> Response:
    asked = _asked()
    if asked and asked != _remembered():
        set_cookie(response, services().settings.gateway, Cookie.LANGUAGE, asked)
    return response


def _said(sentence: str) -> str:
    return catalog(_language()).ugettext(sentence)


def _said_of_many(one: str, many: str, number: int) -> str:
    return catalog(_language()).ungettext(one, many, number)


def _language() -> str:
    # Every sentence of a page asks.
    found: str | None = g.get("language")
    if found is None:
        found = g.language = str(get_locale() or SOURCE).replace("_", "-")
    return found


def _direction() -> str:
    locale = get_locale()
    return locale.text_direction if locale else "ltr"
