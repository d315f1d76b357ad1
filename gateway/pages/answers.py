"""Small answers that every page gives."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Response, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue

from gateway.browser import browser_secret
from gateway.services import services


def see_other(endpoint: str, **values: Any) -> Response:
    """Redirect after a POST, so that going back or reloading never sends it again."""
    return as_response(redirect(url_for(endpoint, **values), 303))


def as_response(answer: ResponseReturnValue) -> Response:
    """Return the answer as Flask's own response type."""
    return current_app.make_response(answer)


def browser_digest() -> str:
    """Return what flows know this browser by."""
    return services().vault.digest(browser_secret(), "browser")


def client_address() -> str:
    """Return the address of the person's device, as far as trusted proxies tell it."""
    return request.remote_addr or ""


def client_agent() -> str:
    """Return what the browser says of itself, for notices."""
    return request.user_agent.string[:200]


def static_url(name: str) -> str:
    """Return the address of a static file; it changes with the file, so that browsers may keep it."""
    return _address(services().settings.gateway.prefix, Path(str(current_app.static_folder)) / name)


@cache
def _address(prefix: str, file: Path) -> str:
    return f"{prefix}/static/{file.name}?v={_version(file)}"


def _version(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]
