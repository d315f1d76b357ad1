"""Put "Can't access your account?" on a sign-in page, by byte search, without an HTML parser.

A page that does not fit is left alone: a missing link is a nuisance, a broken sign-in page an outage.
"""

import html
import re
from dataclasses import dataclass

from gateway.plane.observe import LINK_PAGES

WORDING = {
    "en": "Can't access your account?",
    "nl": "Kunt u niet bij uw account?",
    "de": "Sie können nicht auf Ihr Konto zugreifen?",
    "fr": "Vous n'arrivez pas à accéder à votre compte ?",
    "es": "¿No puede acceder a su cuenta?",
    "ja": "アカウントにアクセスできませんか?",
    "ar": "ألا يمكنك الوصول إلى حسابك؟",
}
OPENING = b'<p id="sparekey-link"'
LONGEST_RETURN_PATH = 8192

HTML_TAG = re.compile(rb"<html\b[^>]*>", re.IGNORECASE)
LANGUAGE = re.compile(rb"""\slang\s*=\s*["']?([A-Za-z]{2,3})(?![A-Za-z])""", re.IGNORECASE)
PASSWORD = re.compile(rb"""<input\b[^>]*\stype\s*=\s*["']?password\b""", re.IGNORECASE)
ACTION = re.compile(rb"""\saction\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
FORM_OPENS = re.compile(rb"<form\b[^>]*>")
FORM_CLOSES = b"</form>"
INERT = (
    (b"<!--", b"-->"),
    (b"<script", b"</script"),
    (b"<style", b"</style"),
    (b"<textarea", b"</textarea"),
    (b"<template", b"</template"),
)
"""Where markup is not markup: beginnings and ends."""

KEYCLOAK_FORMS = (b'id="kc-form-login"', b'id="kc-passwd-update-form"')
KEYCLOAK_ERROR_PAGE = b'data-page-id="login-error"'
KEYCLOAK_ERROR_MESSAGE = b'id="kc-error-message"'
KEYCLOAK_ACTIONS = "/login-actions/"
ONE_TIME = ("session_code=", "execution=")
"""Parameters of a form action that are spent by posting it."""

ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
UNFIT = LINK_PAGES.labels("unfit")
INSERTED = LINK_PAGES.labels("inserted")

PATH = re.compile(r"/(?![/\\])[!-~]*")
QUOTED = str.maketrans({character: f"%{ord(character):02X}" for character in "%\"#&'+;<>\\^`{|}"})
"""What would end the query's value or the attribute."""
WORDING_HTML = {
    language: f"{html.escape(wording)}</a></p>".encode("ascii", "xmlcharrefreplace")
    for language, wording in WORDING.items()
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the link goes."""

    at: int
    action: str
    """The form's action as written, unescaped; empty without one."""


def insert_link(page: bytes, *, target: bytes, prefix: str) -> bytes | None:
    """Return the page with the link, or None where it does not fit, and count which.

    Args:
        page: A whole HTML page, not compressed, in an encoding that contains ASCII.
        target: Target of the request that it answers; the way back where the page states no better one.
        prefix: Path under which our own pages live.
    Source: `docs/architecture.md`, link; Keycloak 26 `login.ftl`, `login-update-password.ftl`, `error.ftl`.
    """
    place = _place(page)
    if place is None or page.startswith(OPENING, place.at):
        UNFIT.inc()
        return None
    INSERTED.inc()
    language = _language(page)
    link = _link(prefix, _return_path(place.action, target), language)
    return b"".join((page[: place.at], link, page[place.at :]))


def _place(page: bytes) -> Place | None:
    """Find the end of the sign-in form, or of Keycloak's error message."""
    for mark in KEYCLOAK_FORMS:
        at = page.find(mark)
        if at >= 0:
            return _after_form(page, at)
    if KEYCLOAK_ERROR_PAGE in page:
        return _after_error_message(page)
    password = PASSWORD.search(page)
    place = _after_form(page, password.start()) if password else None
    return None if place is None or _is_inert(page, place.at) else place


def _after_form(page: bytes, inside: int) -> Place | None:
    """Return the end of the form around a position."""
    opens = page.rfind(b"<form", 0, inside)
    tag = FORM_OPENS.match(page, opens) if opens >= 0 else None
    closes = page.find(FORM_CLOSES, opens)
    if tag is None or closes < inside:
        return None
    action = ACTION.search(tag[0])
    written = (action[1] or action[2] or b"") if action else b""
    return Place(closes + len(FORM_CLOSES), html.unescape(written.decode("utf-8", "replace")))


def _after_error_message(page: bytes) -> Place | None:
    message = page.find(KEYCLOAK_ERROR_MESSAGE)
    closes = page.find(b"</p>", message) if message >= 0 else -1
    if closes < 0:
        return None
    return Place(closes + len(b"</p>"), "")


def _is_inert(page: bytes, at: int) -> bool:
    """Tell whether a position lies inside a comment, a script or the like."""
    before = page[:at].lower()
    for opener, closer in INERT:
        opened = before.rfind(opener)
        if opened >= 0 and before.find(closer, opened) < 0:
            return True
    return False


def _language(page: bytes) -> str:
    """Return the language that the page states, if we speak it; else English."""
    tag = HTML_TAG.search(page, 0, 4096)
    stated = LANGUAGE.search(tag[0]) if tag else None
    language = stated[1].decode().lower() if stated else "en"
    return language if language in WORDING else "en"


def _return_path(action: str, target: bytes) -> str:
    """Return where the same sign-in goes on, as a path of this origin; empty where there is none.

    Keycloak's form action shows the sign-in again, without the parameters that posting it spends.
    """
    way_back = target.decode("ascii", "replace")
    if KEYCLOAK_ACTIONS in action:
        # Security: of an absolute action only the path is taken: no page sends people to another origin.
        way_back = ORIGIN.sub("", action, count=1)
    path, _, query = way_back.partition("?")
    kept = "&".join([pair for pair in query.split("&") if not pair.startswith(ONE_TIME)])
    way_back = f"{path}?{kept}" if kept else path
    return way_back if PATH.fullmatch(way_back) and len(way_back) <= LONGEST_RETURN_PATH else ""


def _link(prefix: str, return_path: str, language: str) -> bytes:
    """Return the link; characters outside ASCII as references, because the page's encoding is unknown."""
    query = f"lang={language}"
    if return_path:
        query = f"return_to={return_path.translate(QUOTED)}&amp;{query}"
    direction = "rtl" if language == "ar" else "ltr"
    return (
        f'<p id="sparekey-link" lang="{language}" dir="{direction}">'
        f'<a href="{html.escape(prefix)}/reset?{query}">'
    ).encode() + WORDING_HTML[language]
