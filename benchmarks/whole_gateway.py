"""A small organisation with the gateway in front of it, as `sparekey serve` runs; one core each."""

import base64
import contextlib
import datetime as dt
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.gateway import PROGRAM, Address, is_ready
from benchmarks.harness import LOAD_CORE, TESTED_CORE, Service, service
from benchmarks.small_organisation import READY, REGISTERED
from flows.authenticators.email_address import lookups
from gateway.providers import open_provider
from gateway.settings import Settings, load
from gateway.stores import open_database
from idp_plugin.demo.provider import SESSION_COOKIE, SESSIONS_PATH
from idp_plugin.demo.servers import GATEWAY_CLIENT
from store.expiring import Expiring
from store.valkey import running_in
from store.vault import Vault
from tests.servers.processes import free_port
from tests.servers.settings_file import write_settings

POLICY = """\
[[rules]]
name = "Everybody on the staff"
kinds = ["email", "totp", "recovery_codes"]
register = 1
reset = 1
trust_delay_hours = 0

[rules.who]
groups = ["staff"]
"""


@contextlib.contextmanager
def limits_forgotten(settings: Settings) -> Iterator[Callable[[], None]]:
    """Yield what forgets every limit, so that one name can be typed for hours."""
    expiring = Expiring(running_in(settings.redis.directory), _vault(settings))

    def forget() -> None:
        keys = list(expiring.client.scan_iter("sk:{counters}:*", count=1000))
        if keys:
            expiring.client.delete(*keys)

    yield forget
    expiring.close()


def _vault(settings: Settings) -> Vault:
    return Vault([base64.b64decode(key.get_secret_value()) for key in settings.vault.keys])


@contextlib.contextmanager
def whole_gateway(
    folder: Path, mail: int = 0, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[Service, Settings]]:
    """Start the organisation and the gateway in front of it, with everybody's addresses registered.

    Args:
        mail: Port of the mail server; 0 means one that forgets every message.
        environment: Further settings, for the gateway alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    at, operations = Address.free(), free_port()
    command = [sys.executable, "-m", "benchmarks.small_organisation", str(folder), at.public, str(mail)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            service(
                "organisation",
                command,
                port=0,
                core=LOAD_CORE,
                log=folder / "organisation.log",
                ready=(folder / READY).exists,
            )
        )
        file = _settings_file(folder, at, operations)

        log = folder / "gateway.log"
        gateway = stack.enter_context(
            service(
                "Sparekey",
                [PROGRAM, "serve", "--settings", file],
                port=at.port,
                core=TESTED_CORE,
                log=log,
                ready=lambda: is_ready(operations, log),
                environment=environment,
            )
        )
        settings = load(file)
        _register(settings)
        yield gateway, settings


def _settings_file(folder: Path, at: Address, operations: int) -> Path:
    around = json.loads((folder / READY).read_text())
    return write_settings(
        folder,
        POLICY,
        gateway=at.settings(operations),
        idp={
            "kind": "oidc",
            "address": around["provider"],
            "issuer": at.public,
            "client_id": GATEWAY_CLIENT,
            "client_secret": around["secret"],
            "scope": "openid profile email groups",
            "session_cookies": [SESSION_COOKIE],
            "sessions_path": SESSIONS_PATH,
        },
        directories=[around["directory"]],
        messages={"mail": {"host": "127.0.0.1", "port": around["mail"], "tls": "none"}},
        limits={
            "work_difficulty": 100,
            "starts_per_minute": 1000,
            "starts_per_minute_overall": 1_000_000,
        },
    )


def _register(settings: Settings) -> None:
    """Give those who are registered an address to get codes at."""
    database, provider = open_database(settings), open_provider(settings)
    now = dt.datetime.now(dt.UTC)
    for username in REGISTERED:
        identity = provider.directory.find(username)
        if identity is None:
            raise LookupError(username)
        address = f"{username}.private@example.net"
        with database.transaction() as transaction:
            person = transaction.people.ensure(identity.subject.source, identity.subject.id, now=now)
            transaction.authenticators.add(
                person.id,
                "email",
                address.encode(),
                now=now,
                trusted_from=now,
                provenance="self",
                lookup=lookups(_vault(settings), address)[0],
            )
    provider.close()
    database.dispose()
