"""The browser's side of `flows.abuse.known_device`: a cookie set by a proof or sign-in, which outlives it."""

import datetime as dt

from flask import Flask, Response, request

from flows.recovery.attempt import Attempt
from gateway.cookies import Cookie, read_cookie, set_cookie
from gateway.pages.portal import current_session
from gateway.services import services

_PORTAL = frozenset({"home", "registration"})
"""Blueprints of pages that only a signed-in person sees."""


def register_known_devices(app: Flask) -> None:
    """Remember browsers in which somebody is signed in to our own pages."""
    app.after_request(_remember_member)


def device_token() -> str:
    """Return what this browser keeps as a known device, or the empty string."""
    return read_cookie(request, services().settings.gateway, Cookie.DEVICE)


def remember_success(response: Response, attempt: Attempt) -> Response:
    """Remember that an attempt succeeded in this browser."""
    token = services().devices.remember(
        device_token(), [attempt.typed], attempt.person_id or "", services().clock()
    )
    return _kept(response, token)


def _remember_member(response: Response) -> Response:
    is_shown = request.blueprint in _PORTAL and response.status_code == 200
    session = current_session() if is_shown else None
    if session is None:
        return response
    token = services().devices.remember_member(device_token(), session.subject, services().clock())
    return _kept(response, token)


def _kept(response: Response, token: str) -> Response:
    if token:
        lives = dt.timedelta(days=services().settings.limits.known_device_days)
        set_cookie(response, services().settings.gateway, Cookie.DEVICE, token, lives)
    return response
