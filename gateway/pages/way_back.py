"""Where the person came from, kept beside the attempt and checked again each time it is used."""

import datetime as dt

from gateway.return_to import safe_return_to
from gateway.services import services

KIND = "way_back"
LIFETIME = dt.timedelta(hours=1)


def checked(value: str) -> str:
    """Return an address that may be followed: the one given, else the home page."""
    settings = services().settings.gateway
    safe = safe_return_to(value, public=settings.public, prefix=settings.prefix, origins=settings.return_to)
    return safe or f"{settings.public}{settings.prefix}/"


def remember(attempt_id: str, value: str) -> None:
    """Keep the address for the attempt's last page."""
    services().expiring.put(KIND, attempt_id, checked(value).encode(), ttl=LIFETIME)


def of(attempt_id: str) -> str:
    """Return the address kept for the attempt."""
    kept = services().expiring.peek(KIND, attempt_id) if attempt_id else None
    return checked(kept.decode() if kept else "")
