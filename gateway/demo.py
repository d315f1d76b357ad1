"""The embedded demo: everything real, nothing external, on loopback."""

import base64
import contextlib
import datetime as dt
import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.authenticators import totp
from flows.authenticators.email_address import lookups
from gateway.app import Sparekey, build
from gateway.services import Services
from gateway.settings import Settings, from_mapping
from idp_plugin.demo import servers
from idp_plugin.demo.people import PEOPLE, DemoPerson
from idp_plugin.demo.provider import SESSION_COOKIE, SESSIONS_PATH
from idp_plugin.demo.servers import GATEWAY_CLIENT, RunningDemo

HOST = "127.0.0.1"
POLICY = """\
[[rules]]
name = "Everybody on the staff"
kinds = ["email", "mobile_phone", "office_phone", "totp", "recovery_codes"]
register = 1
reset = 1
reconfirm_days = 180
trust_delay_hours = 0
on_fault = "deny"

[rules.who]
groups = ["staff"]

[rules.postpone]
times = 3
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo whose parts are open; `sparekey.start` opens its gateway."""

    sparekey: Sparekey
    around: RunningDemo
    seeds: dict[str, str]
    """TOTP seeds in Base32, by user name."""

    def ready(self) -> dict[str, Any]:
        """Return what the ready file says; the shape is a contract."""
        gateway = self.sparekey.services.settings.gateway
        return {
            "gateway": gateway.public,
            "relying_party": self.around.addresses.application,
            "outbox": f"{gateway.public}{gateway.prefix}/demo/outbox",
            "people": [
                {
                    "username": person.username,
                    "password": self.around.passwords[person.username],
                    "totp_seed": self.seeds.get(person.username),
                }
                for person in PEOPLE
            ],
        }

    def write_ready_file(self, file: Path) -> None:
        """Write the ready file at once and whole; it holds passwords, so only its owner reads it."""
        partial = file.with_name(f"{file.name}.partial")
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(self.ready(), indent=2), encoding="utf-8")
        partial.replace(file)


@contextlib.contextmanager
def open_demo(port: int, folder: Path) -> Iterator[Demo]:
    """Start directory, provider and relying party, and open a gateway for them.

    Args:
        port: Of the gateway; the relying party takes the next one, health and metrics the one after.
        folder: Private and empty, or an earlier demo's.
    """
    with servers.start(port, folder, host=HOST) as around, build(_settings(port, folder, around)) as sparekey:
        yield Demo(sparekey, around, _register_people(sparekey))


def _settings(port: int, folder: Path, around: RunningDemo) -> Settings:
    policy = folder / "policies.toml"
    policy.write_text(POLICY, encoding="utf-8")
    public = around.addresses.public
    return from_mapping(
        {
            "gateway": {
                "public": public,
                "listen": f"{HOST}:{port}",
                "operations": f"{HOST}:{port + 2}",
                "return_to": [around.addresses.application],
            },
            "idp": {
                "kind": "oidc",
                "address": around.provider,
                "issuer": public,
                "client_id": GATEWAY_CLIENT,
                "client_secret": around.client_secret,
                "scope": "openid profile email groups",
                "session_cookies": [SESSION_COOKIE],
                "sessions_path": SESSIONS_PATH,
            },
            "directories": [around.directory.model_dump()],
            "database": {"url": f"sqlite:///{folder / 'sparekey.db'}"},
            "redis": {"directory": folder / "valkey"},
            "messages": {"mail": {"organisation": "Example Organisation"}, "default_region": "US"},
            "vault": {"keys": [base64.b64encode(secrets.token_bytes(32)).decode()]},
            "policies": {"file": policy},
            "roles": {"administrator": ["administrators"], "helpdesk": ["helpdesk"]},
            "demo": {"outbox": folder / "outbox"},
        }
    )


def _register_people(sparekey: Sparekey) -> dict[str, str]:
    """Register what the demo's people have from the start; returns the TOTP seeds by user name."""
    services = sparekey.services
    seeds: dict[str, str] = {}
    for person in PEOPLE:
        if person.registered:
            seed = _register(services, sparekey, person)
            if "totp" in person.registered:
                seeds[person.username] = seed
    return seeds


def _register(services: Services, sparekey: Sparekey, person: DemoPerson) -> str:
    identity = sparekey.provider.directory.find(person.username)
    if identity is None:
        raise LookupError(person.username)
    then = services.clock() - dt.timedelta(days=person.registered_days_ago)
    address = f"{person.username}.private@example.net"
    seed = totp.new_seed()
    with services.database.transaction() as transaction:
        known = transaction.people.ensure(identity.subject.source, identity.subject.id, now=then)
        for kind in person.registered:
            transaction.authenticators.add(
                known.id,
                kind,
                address.encode() if kind == "email" else seed,
                now=then,
                trusted_from=then,
                provenance="self",
                lookup=lookups(services.vault, address)[0] if kind == "email" else "",
            )
    return totp.base32(seed)
