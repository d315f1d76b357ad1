"""What a person sees where a sign-in is not handed on. The same plain look as the plane's refusals."""

import html

from gateway.plane.refusal_page import HEADERS, STYLE
from gateway.plane.verdict import Headers, Replace

_FIELDS: Headers = tuple(
    (name.encode(), value.encode())
    for name, _, value in (line.partition(": ") for line in HEADERS.splitlines() if line)
)

UNVERIFIED = (
    403,
    "We could not confirm this sign-in",
    "Close the other windows of this browser, then start again from your application.",
)
DENIED = (403, "You cannot sign in at the moment", "Your organisation's rules do not allow this sign-in.")
LOOPED = (
    508,
    "Your sign-in came back here too often",
    "Nothing is wrong with your account. Please wait five minutes, then start again from your application.",
)
ANOTHER_SESSION = (
    409,
    "Somebody else signed in meanwhile",
    "This sign-in began for another person or session. Start again from your application.",
)
OUTAGE = (
    503,
    "Signing in is not possible at the moment",
    "A part of the sign-in service does not answer. Please try again in a minute.",
)
FAILED = (500, "Something went wrong", "Please try again in a moment, from your application.")


def stopped(page: tuple[int, str, str], reference: str, *, keep_cookies: bool = False) -> Replace:
    """Return a page that ends the sign-in here.

    Args:
        page: Status, heading and advice.
        reference: The number that finds the log line.
        keep_cookies: Whether the browser keeps the session that the identity provider just gave it.
    """
    status, heading, advice = page
    body = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{html.escape(heading)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{html.escape(heading)}</h1><p>{html.escape(advice)}</p>"
        f"<p>If it keeps happening, tell your helpdesk this reference: <code>{reference}</code></p>"
        "</main></body></html>\n"
    )
    return Replace(status, _FIELDS, body.encode(), keep_cookies=keep_cookies)
