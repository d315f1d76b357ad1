"""The names and attributes of every cookie that Sparekey sets; nobody else decides them.

Over HTTPS names carry the `__Host-` prefix: the browser then guarantees that this origin alone set them.
Over plain HTTP, which the settings allow on loopback only, they carry neither the prefix nor `Secure`:
Chromium 156 would accept both on `http://127.0.0.1`, but command-line clients would never send them back.
"""

import datetime as dt
import enum

from flask import Request, Response

from gateway.settings import GatewaySettings

FAMILY = "sparekey-"
"""Every name begins so, after the prefix; the plane keeps such cookies from the identity provider."""


class Cookie(enum.StrEnum):
    """What each cookie stands for; all are opaque, and all but `LANGUAGE` are secrets."""

    BROWSER = "browser"
    """One browser: proofs, forms and sign-ins in progress are bound to it (S15)."""
    ATTEMPT = "attempt"
    """The reset attempt that this browser works on."""
    SESSION = "session"
    """The portal session."""
    SATISFIED = "satisfied"
    """That this IdP session was found covered minutes ago; read during an outage only (S12)."""
    DEVICE = "device"
    """For whom this browser is known, because they proved who they are in it (S5); outlives the browser."""
    LANGUAGE = "language"
    """The language that the person chose."""
    REQUESTS = "requests"
    """The plane's: under what a browser's sign-in requests are remembered."""
    HOLD = "hold"
    """The plane's: the secret of one held sign-in; the hold's id follows in the name (S11)."""
    DECIDED = "decided"
    """For a native data plane: that this session was found covered minutes ago, for one application, which
    follows in the name (S12)."""
    ASK = "ask"
    """A native data plane's: that the gateway is to answer this browser's next requests; no secret."""


def hold_cookie(hold_id: str) -> str:
    """Return the cookie of one held sign-in; each has its own, so that two tabs do not disturb each other."""
    return f"{Cookie.HOLD}-{hold_id}"


def cookie_name(cookie: str, settings: GatewaySettings) -> str:
    """Return the full name under which a cookie travels."""
    prefix = "__Host-" if settings.is_https else ""
    return f"{prefix}{FAMILY}{cookie}"


def read_cookie(request: Request, settings: GatewaySettings, cookie: str) -> str:
    """Return a cookie's value, or the empty string."""
    return request.cookies.get(cookie_name(cookie, settings), "")


def set_cookie(
    response: Response,
    settings: GatewaySettings,
    cookie: str,
    value: str,
    lives: dt.timedelta | None = None,
) -> None:
    """Set a cookie that lives as long as the browser runs, or so long as `lives` says.

    `Lax` and not `Strict`: a sign-in may have begun at an application on another site, and its held
    answer must still find the portal session. No GET changes anything, so nothing is lost by it.
    """
    response.set_cookie(
        cookie_name(cookie, settings),
        value,
        max_age=lives,
        path="/",
        secure=settings.is_https,
        httponly=True,
        samesite="Lax",
    )


def drop_cookie(response: Response, settings: GatewaySettings, cookie: str) -> None:
    """Make the browser forget a cookie."""
    response.delete_cookie(
        cookie_name(cookie, settings), path="/", secure=settings.is_https, httponly=True, samesite="Lax"
    )
