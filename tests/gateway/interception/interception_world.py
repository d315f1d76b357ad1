"""The plane with interception in front of a real provider, on real stores, for tests."""

import asyncio
import base64
import contextlib
import datetime as dt
import json
import re
import secrets
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from enforcement.breaker import Breaker
from enforcement.current_policy import adopt
from enforcement.gate import Gate
from gateway.interception.assembly import Intercepting, assemble
from gateway.interception.hold import Released
from gateway.plane.observe import Observer
from gateway.plane.rim import Plane
from gateway.settings import GatewaySettings
from idp_plugin.oidc_provider import OidcProvider
from idp_plugin.settings import IdpSettings
from store.database import Database
from store.expiring import Expiring
from store.vault import Vault
from tests.servers.processes import free_port
from tests.servers.visitor import Visitor

POLICY = """
[[rules]]
name = "everybody"
who = { everyone = true }
kinds = ["email", "totp"]
register = 1
reset = 1
"""


@dataclass
class World:
    """A running gateway."""

    settings: GatewaySettings
    database: Database
    expiring: Expiring
    provider: OidcProvider
    gate: Gate
    parts: Intercepting
    loop: asyncio.AbstractEventLoop
    now: Callable[[], dt.datetime]
    visitors: list[Visitor] = field(default_factory=list)

    @property
    def public(self) -> str:
        return self.settings.public

    def register(self, subject: str, *, days_ago: int = 0) -> None:
        """Give somebody a way back in."""
        then = self.now() - dt.timedelta(days=days_ago)
        with self.database.transaction() as transaction:
            person = transaction.people.ensure(self.provider.settings.issuer, subject, now=then)
            transaction.authenticators.add(
                person.id, "email", b"somebody@example.net", now=then, trusted_from=then, provenance="self"
            )

    def unregister(self, subject: str) -> None:
        """Take every way back in away again."""
        with self.database.transaction() as transaction:
            person = transaction.people.by_subject(self.provider.settings.issuer, subject)
            assert person
            for authenticator in transaction.authenticators.of(person.id):
                transaction.authenticators.remove(authenticator.id)

    def release(self, visitor: Visitor, hold_id: str, **other: str) -> Released:
        """Release as the person who is held, or as somebody else."""
        secret = hold_secret(visitor, hold_id)
        sign_in = self.parts.holds.read(hold_id, secret).sign_in
        who = {
            "issuer": sign_in.subject.source,
            "subject": sign_in.subject.id,
            "session_id": sign_in.session_id,
        }
        return self.parts.holds.release(hold_id, secret, **{**who, **other}, now=self.now())

    def held(self, answer: httpx.Response) -> str:
        """Return the hold's id that an answer leads to."""
        location = answer.headers.get("location", "")
        assert answer.status_code == 303, (answer.status_code, location)
        found = re.fullmatch(re.escape(f"{self.public}/sparekey/hold/") + r"([\w-]+)", location)
        assert found, location
        assert answer.content == b""
        return found[1]

    def settle(self) -> None:
        """Wait until what is remembered is in Valkey."""
        asyncio.run_coroutine_threadsafe(self.parts.remembered.close(), self.loop).result(10)


def hold_secret(visitor: Visitor, hold_id: str) -> str:
    """Return the secret of one hold from the visitor's cookies."""
    for (_, _, name), value in visitor.cookies.items():
        if name.endswith(f"sparekey-hold-{hold_id}"):
            return value
    raise AssertionError("no hold cookie")


def hello(environ: dict[str, Any], start: Callable[..., object]) -> list[bytes]:
    """Stand in for our own pages."""
    start("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


@contextlib.contextmanager
def world(
    idp: IdpSettings,
    gateway: GatewaySettings,
    folder: Path,
    valkey: str,
    *,
    policy: str = POLICY,
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    wrap: Callable[[Any], Any] = lambda interceptor: interceptor,
) -> Iterator[World]:
    """Run the plane in a thread."""
    vault = Vault([secrets.token_bytes(32)])
    database = Database(f"sqlite:///{folder / 'sparekey.db'}", vault)
    database.upgrade()
    expiring = Expiring(valkey, vault)
    adopt(database, policy, author="test", now=now())
    provider = OidcProvider(idp, public=gateway.public)
    gate = Gate(database, breaker=Breaker([database.ping, expiring.ping]))
    with ThreadPoolExecutor(4) as executor, contextlib.ExitStack() as stack:
        stack.callback(database.dispose)
        stack.callback(expiring.close)
        stack.callback(provider.close)
        parts = assemble(
            gateway,
            provider=provider,
            gate=gate,
            database=database,
            expiring=expiring,
            executor=executor,
            clock=now,
        )

        def make() -> Plane:
            return Plane(
                gateway,
                idp_address=idp.address,
                tls_ca=idp.tls_ca,
                application=hello,
                interceptor=wrap(parts.interceptor),
                observer=Observer(None),
            )

        with serving(make) as loop:
            yield World(gateway, database, expiring, provider, gate, parts, loop, now)


@contextlib.contextmanager
def serving(make: Callable[[], Plane]) -> Iterator[asyncio.AbstractEventLoop]:
    """Run a plane on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="plane")
    thread.start()

    def do(work: Awaitable[Any]) -> Any:
        async def run() -> Any:
            return await work

        return asyncio.run_coroutine_threadsafe(run(), loop).result(20)

    async def start() -> Plane:
        plane = make()
        await plane.start()
        return plane

    plane = do(start())
    try:
        yield loop
    finally:
        do(plane.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def gateway_settings(port: int | None = None) -> GatewaySettings:
    """Return settings for a free port on loopback."""
    port = port or free_port()
    return GatewaySettings(public=f"http://127.0.0.1:{port}", listen=f"127.0.0.1:{port}", operations="")


def payload(token: str) -> dict[str, Any]:
    """Return what a JWT says."""
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
