"""Where the person came from, checked each time before it is followed."""

from flows.recovery.attempt import Attempt
from gateway.return_to import safe_return_to
from gateway.services import services


def checked(value: str) -> str:
    """Return an address that may be followed: the one given, else the home page."""
    settings = services().settings.gateway
    safe = safe_return_to(value, public=settings.public, prefix=settings.prefix, origins=settings.return_to)
    return safe or f"{settings.public}{settings.prefix}/"


def of(attempt: Attempt) -> str:
    """Return the address that an attempt leads back to."""
    return checked(attempt.return_to)
