"""Two applications behind a printed nginx, with `sparekey serve`, and people who have sessions."""

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.ended_sessions import EndedSessions
from gateway.forward_auth.application_session import ApplicationSession, ApplicationSessions
from gateway.forward_auth.door import SESSION
from idp_plugin.base import Subject
from store.expiring import Expiring
from store.valkey import running_in
from tests.data_plane.site import Site, eventually, site
from tests.gateway.forward_auth.guarded import Guarded, guarded
from tests.servers.processes import free_port

COOKIE = "__Host-sparekey-application"
WIKI, NOTES = "wiki.example.org", "notes.example.org"


@dataclass
class GuardedSite:
    """What runs."""

    site: Site
    expiring: Expiring
    applications: Mapping[str, Guarded]
    asked_at: str
    """Where nginx asks."""
    revoked_within_ms: int
    client: httpx.Client
    """Takes a new connection for each request, so that every worker is met in time."""

    @property
    def ended(self) -> EndedSessions:
        return EndedSessions(self.expiring)

    def reopen(self) -> None:
        """Find the store of a gateway that was started again."""
        self.expiring.close()
        self.expiring = Expiring(running_in(self.site.folder / "valkey"), self.site.vault)

    def session(self, name: str, host: str = WIKI, lifetime: dt.timedelta = dt.timedelta(hours=1)) -> str:
        """Return the cookie of somebody who is signed in at an application."""
        now = dt.datetime.now(dt.UTC)
        session = ApplicationSession(
            host=host,
            subject=subject(name),
            idp_session=f"session of {name}",
            username=name,
            display_name="",
            email=f"{name}@example.org",
            groups=frozenset({"staff", "wiki"}),
            signed_in_at=now,
            expires_at=now + lifetime,
        )
        return SESSION + ApplicationSessions(self.expiring, self.ended).start(session, now=now)

    def get(self, cookie: str, path: str = "/", host: str = WIKI, **fields: str) -> httpx.Response:
        """Ask an application for something; fields as a script sends them."""
        headers = {"Host": host, "Accept": "*/*", **fields}
        if cookie:
            headers["Cookie"] = cookie if "=" in cookie else f"{COOKIE}={cookie}"
        return self.client.get(f"https://localhost:{self.site.port}{path}", headers=headers)

    def asked(self) -> float:
        """Return how many questions the gateway answered so far."""
        return self.site.metric('sparekey_requests_total{side="auth"')

    def is_known(self, cookie: str, **asked: str) -> bool:
        """Ask once; tell whether that passed without a question to the gateway."""
        before = self.asked()
        answer = self.get(cookie, **asked)
        return answer.status_code == 200 and self.asked() == before

    def known(self, name: str, host: str = WIKI) -> str:
        """Return the cookie of somebody who passes without a question."""
        cookie = self.session(name, host)
        assert self.get(cookie, host=host).status_code == 200
        eventually(lambda: self.is_known(cookie, host=host))
        return cookie


def subject(name: str) -> Subject:
    """Return who somebody is at the provider."""
    return Subject("https://sso.example.org", name)


@contextlib.contextmanager
def guarded_site(folder: Path, *, revoked_within_ms: int = 250) -> Iterator[GuardedSite]:
    """Run everything, with nginx in two workers."""
    with guarded() as wiki, guarded() as notes:
        options = []
        for host, application in ((WIKI, wiki), (NOTES, notes)):
            options += ["--guard", f"https://{host}", f"http://127.0.0.1:{application.port}"]
        port = free_port()
        forward_auth = {
            "listen": f"127.0.0.1:{port}",
            "applications": [f"https://{WIKI}", f"https://{NOTES}"],
            "revoked_within_ms": revoked_within_ms,
            "proxies": [{"address": "127.0.0.1", "states": "x_original"}],
        }
        with site("nginx", folder, sections={"forward_auth": forward_auth}, options=options) as behind:
            running = GuardedSite(
                behind,
                Expiring(running_in(folder / "valkey"), behind.vault),
                {WIKI: wiki, NOTES: notes},
                f"http://127.0.0.1:{port}/sparekey/auth",
                revoked_within_ms,
                behind.visitor().client,
            )
            yield running
            running.expiring.close()
