"""Starts the demo's directory, identity provider and relying party, in threads, on loopback."""

import ipaddress
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flask import Flask
from pydantic import SecretStr
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from idp_plugin.demo.directory import (
    GROUPS_BASE,
    PEOPLE_BASE,
    SERVICE_DN,
    DemoDirectory,
    utc_now,
)
from idp_plugin.demo.directory_server import DirectoryServer
from idp_plugin.demo.people import GROUPS, PEOPLE, DemoPerson, new_passwords
from idp_plugin.demo.pki import Certificates, make_certificates
from idp_plugin.demo.provider import create_provider
from idp_plugin.demo.provider_memory import DemoClient
from idp_plugin.demo.relying_party import RelyingParty, create_relying_party
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.settings import DirectorySettings

GATEWAY_CLIENT = "sparekey"
APPLICATION_CLIENT = "timesheets"


@dataclass(frozen=True, slots=True)
class DemoAddresses:
    """Where everything is. The provider and the directory may pick free ports; 0 asks for that."""

    public: str
    """The gateway's origin: the provider's issuer."""
    application: str
    """The relying party's origin."""
    host: str = "127.0.0.1"
    provider_port: int = 0
    directory_port: int = 0
    prefix: str = "/sparekey"
    """The gateway's, for its redirect addresses."""


@dataclass(slots=True)
class RunningDemo:
    """What was started, and what others need to use it; a context manager that stops it."""

    addresses: DemoAddresses
    provider: str
    """The provider's own address, which only the gateway uses."""
    client_secret: str = field(repr=False)
    """Of `GATEWAY_CLIENT`."""
    directory: DirectorySettings
    """How to reach the directory, as the service account."""
    served: DemoDirectory
    """The directory itself, for tests that need to arrange it."""
    passwords: Mapping[str, str] = field(repr=False)
    """By user name."""
    _stop: list[Callable[[], object]] = field(repr=False, default_factory=list)

    def stop(self) -> None:
        """Stop everything that is still running."""
        while self._stop:
            self._stop.pop()()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def start(base: int, folder: Path, *, host: str = "127.0.0.1") -> RunningDemo:
    """Start the demo around a gateway on port `base`; the relying party takes `base + 1`.

    Args:
        base: The gateway's port.
        folder: For the certificates; must be private.
        host: A loopback address.

    Raises:
        ValueError: `host` is not loopback.
        OSError: A port is taken.
    """
    return start_at(
        DemoAddresses(f"http://{host}:{base}", f"http://{host}:{base + 1}", host=host), folder, base + 1
    )


def start_at(addresses: DemoAddresses, folder: Path, application_port: int) -> RunningDemo:
    """Start the demo with every address chosen; see `start`."""
    # Security: known people and passwords; nobody else may reach them.
    if not ipaddress.ip_address(addresses.host).is_loopback:
        raise ValueError("the demo listens on loopback only")
    passwords = new_passwords()
    served, settings, stop_directory = _start_directory(addresses, folder, passwords)
    client_secret, application_secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    clients = _clients(addresses, client_secret, application_secret)
    provider = create_provider(addresses.public, clients, OpenLdap(settings, addresses.public))
    application = create_relying_party(
        addresses.public, APPLICATION_CLIENT, application_secret, addresses.application
    )
    stops: list[Callable[[], object]] = [stop_directory]
    try:
        provider_port, stop = _serve(provider, addresses.host, addresses.provider_port)
        stops.append(stop)
        party: RelyingParty = application.extensions["relying_party"]
        stops.append(party.close)
        _, stop = _serve(application, addresses.host, application_port)
        stops.append(stop)
    except OSError:
        for stop in reversed(stops):
            stop()
        raise
    return RunningDemo(
        addresses,
        f"http://{addresses.host}:{provider_port}",
        client_secret,
        settings,
        served,
        passwords,
        stops,
    )


def _clients(addresses: DemoAddresses, gateway_secret: str, application_secret: str) -> list[DemoClient]:
    return [
        DemoClient(
            GATEWAY_CLIENT,
            gateway_secret,
            (f"{addresses.public}{addresses.prefix}/oidc/callback",),
            (f"{addresses.public}{addresses.prefix}/",),
            requires_pkce=False,
            may_end_sessions=True,
        ),
        DemoClient(
            APPLICATION_CLIENT,
            application_secret,
            (f"{addresses.application}/callback",),
            (f"{addresses.application}/",),
        ),
    ]


def _start_directory(
    addresses: DemoAddresses, folder: Path, passwords: Mapping[str, str]
) -> tuple[DemoDirectory, DirectorySettings, Callable[[], object]]:
    certificates = make_certificates(folder)
    served = DemoDirectory()
    service_password = secrets.token_urlsafe(24)
    fill(served, passwords, service_password)
    server = DirectoryServer(served, certificates, (addresses.host, addresses.directory_port))
    _in_thread(server.serve_forever, "demo-directory")
    settings = directory_settings(server, certificates, service_password)

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return served, settings, stop


def directory_settings(
    server: DirectoryServer, certificates: Certificates, service_password: str
) -> DirectorySettings:
    """Return how to reach a demo directory, as its service account."""
    return DirectorySettings(
        name="demo",
        servers=(f"ldaps://{server.server_address[0]!s}:{server.port}",),
        ca=certificates.authority,
        bind_dn=SERVICE_DN,
        bind_password=SecretStr(service_password),
        base=PEOPLE_BASE,
        protected_groups=(f"cn=administrators,{GROUPS_BASE}",),
        trusted_attributes=("mail", "telephoneNumber"),
    )


def fill(directory: DemoDirectory, passwords: Mapping[str, str], service_password: str) -> None:
    """Put the demo's people, groups and service account into a directory."""
    directory.add(
        SERVICE_DN, {"objectClass": ("applicationProcess",), "cn": ("svc-reset",)}, service_password
    )
    for person in PEOPLE:
        _add_person(directory, person, passwords[person.username])
    for group in GROUPS:
        members = [f"uid={person.username},{PEOPLE_BASE}" for person in PEOPLE if group in person.groups]
        directory.add(
            f"cn={group},{GROUPS_BASE}", {"objectClass": ("groupOfNames",), "cn": (group,), "member": members}
        )


def _add_person(directory: DemoDirectory, person: DemoPerson, password: str) -> None:
    given_name, _, family_name = person.display_name.partition(" ")
    entry = directory.add(
        f"uid={person.username},{PEOPLE_BASE}",
        {
            "objectClass": ("inetOrgPerson",),
            "uid": (person.username,),
            "cn": (person.display_name,),
            "displayName": (person.display_name,),
            "givenName": (given_name,),
            "sn": (family_name,),
            "mail": person.emails,
            **({"telephoneNumber": (person.office_phone,)} if person.office_phone else {}),
        },
        password,
    )
    credential = entry.credential
    if credential is None:
        return
    if person.locked:
        credential.locked_at = utc_now()
    if person.expired:
        credential.changed = utc_now() - 2 * directory.policy.maximum_age


class _Quiet(WSGIRequestHandler):
    """Logs nothing: the gateway in front does."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        logging.getLogger(__name__).debug("%s: %s", type, message % args if args else message)


def _serve(app: Flask, host: str, port: int) -> tuple[int, Callable[[], object]]:
    # Werkzeug ends the whole process when a port is taken; this raises instead.
    with socket.create_server((host, port), backlog=128) as listener:
        taken = listener.getsockname()[1]
        server: BaseWSGIServer = make_server(
            host, taken, app, threaded=True, request_handler=_Quiet, fd=listener.fileno()
        )
    _in_thread(server.serve_forever, app.name)

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return taken, stop


def _in_thread(work: Callable[..., object], name: str) -> None:
    threading.Thread(target=work, kwargs={"poll_interval": 0.05}, name=name, daemon=True).start()
