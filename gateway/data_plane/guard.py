"""Applications that nginx guards by itself: who was let in a moment ago is not asked about again (0058)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateway.data_plane.exchange import COUNTED
from gateway.data_plane.printable import NotPrintableError, plain
from gateway.forward_auth.application import Application
from gateway.forward_auth.asked import Proxies
from gateway.interception import sign_in_pages
from gateway.plane.refusal_page import HEADERS
from gateway.settings import Settings

UPSTREAM = re.compile(r"http://((?:[A-Za-z0-9.-]+|\[[0-9a-f:]+\]):[0-9]{1,5})/?")


@dataclass(frozen=True, slots=True)
class Guarded:
    """One application behind nginx."""

    origin: str
    """As in `forward_auth.applications`."""
    upstream: str
    """Where it listens: `http://host:port`."""
    certificate: Path | None = None
    """PEM file with the chain of its host."""
    key: Path | None = None


def missing(settings: Settings, guarded: Sequence[Guarded]) -> Iterator[str]:
    """Yield what keeps these applications from being guarded."""
    forward_auth = settings.forward_auth
    if not forward_auth.listen:
        yield "forward_auth.listen is not set"
        return
    host = forward_auth.listen.rpartition(":")[0].strip("[]")
    if Proxies(forward_auth.proxies).states(host) != "x_original":
        yield f'forward_auth.proxies must hold {host} with states = "x_original"'
    for application in guarded:
        if application.origin not in forward_auth.applications:
            yield f"{application.origin} is not one of forward_auth.applications"
        if application.origin.startswith("https:") is not bool(application.certificate and application.key):
            yield f"{application.origin} needs a certificate and a key, unless it is plain http"


def guard_settings(settings: Settings, guarded: Sequence[Guarded]) -> dict[str, object]:
    """Return what the guard's Lua is told."""
    applications = [Application.at(each.origin) for each in guarded]
    return {
        "socket": str(settings.gateway.data_plane_socket),
        "counted": list(COUNTED),
        "page_fields": dict(line.split(": ", 1) for line in HEADERS.splitlines()),
        "outage": sign_in_pages.stopped(sign_in_pages.OUTAGE, "REFERENCE").body.decode(),
        "guarded": {application.host: application.cookie for application in applications},
        "revoked_within_ms": settings.forward_auth.revoked_within_ms,
    }


def guard_context(settings: Settings, guarded: Sequence[Guarded]) -> dict[str, object]:
    """Return what the guard's template is told; without applications that there are none.

    Raises:
        NotPrintableError: An application cannot stand in a configuration.
    """
    return {
        "guarded": [_server(Application.at(each.origin), each) for each in guarded],
        "door": plain(settings.forward_auth.listen) if guarded else "",
        "prefix": plain(settings.gateway.prefix),
    }


def _server(application: Application, guarded: Guarded) -> dict[str, object]:
    scheme, _, host = application.origin.partition("://")
    upstream = UPSTREAM.fullmatch(guarded.upstream)
    if not upstream:
        raise NotPrintableError(guarded.upstream)
    return {
        "origin": plain(application.origin),
        "host": plain(host),
        "name": plain(urlsplit(application.origin).hostname),
        "scheme": scheme,
        "upstream": upstream[1],
        "certificate": plain(guarded.certificate),
        "key": plain(guarded.key),
    }
