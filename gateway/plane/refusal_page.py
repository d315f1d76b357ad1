"""The plane's own answers where nobody else can answer: short pages, no script, no outside resource."""

import base64
import hashlib
import html
import time
from email.utils import formatdate
from http import HTTPStatus

STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}h1{font-size:1.5rem}code{font-size:1.1em}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#16181b}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS = (
    "Content-Type: text/html; charset=utf-8\r\n"
    "Cache-Control: no-store\r\n"
    f"Content-Security-Policy: default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
)

MISUNDERSTOOD = (
    "This request could not be understood",
    "Go back and try again, or start from your application.",
)
PAGES = {
    400: MISUNDERSTOOD,
    403: ("This is not possible here", "The browser asked for something that this address does not give."),
    408: ("The request took too long", "The connection may be slow. Please try again."),
    413: ("That is too much at once", "What was sent is larger than this service accepts."),
    421: ("This is not the right address", "This service is reached under another name. Check the address."),
    431: (
        "The browser sent too much with the request",
        "Deleting this site's cookies often helps; then try again.",
    ),
    500: ("Something went wrong", "Please try again in a moment."),
    502: ("The sign-in service gave no usable answer", "Please try again in a moment."),
    503: ("This service is busy", "Please try again in a minute."),
    504: ("The sign-in service did not answer in time", "Please try again in a moment."),
}


def reason(status: int) -> str:
    """Return the reason phrase of a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


class Clock:
    """The `Date` field, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def date_line(self) -> bytes:
        """Return `Date: …` after a line end."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._line = f"\r\nDate: {formatdate(now, usegmt=True)}".encode()
        return self._line


CLOCK = Clock()


def refusal(status: int, reference: str) -> tuple[bytes, bytes]:
    """Return the head and the body of an answer that says what went wrong, and closes the connection.

    Args:
        status: One of `PAGES`; any other says that the request was not understood.
        reference: The number that finds the log line.
    """
    heading, advice = PAGES.get(status, MISUNDERSTOOD)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(heading)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{html.escape(heading)}</h1><p>{html.escape(advice)}</p>"
        f"<p>If it keeps happening, tell your helpdesk this reference: <code>{reference}</code></p>"
        "</main></body></html>\n"
    ).encode()
    retry = "Retry-After: 60\r\n" if status == 503 else ""
    head = (
        f"HTTP/1.1 {status} {reason(status)}\r\n{HEADERS}{retry}"
        f"Content-Length: {len(page)}\r\nConnection: close"
    )
    return head.encode() + CLOCK.date_line() + b"\r\n\r\n", page
