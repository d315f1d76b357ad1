"""A world whose provider is the demo's."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from idp_plugin.demo import servers
from idp_plugin.demo.provider import SESSION_COOKIE, SESSIONS_PATH
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.settings import IdpSettings
from tests.gateway.interception.interception_world import World, gateway_settings, world
from tests.servers.processes import free_port
from tests.servers.visitor import Visitor, forms


@dataclass
class Demo:
    world: World
    demo: servers.RunningDemo

    @property
    def application(self) -> str:
        return self.demo.addresses.application

    def subject(self, username: str) -> str:
        found = OpenLdap(self.demo.directory, self.world.public).find(username)
        assert found
        return found.subject.id

    def to_sign_in(self, visitor: Visitor, **wishes: str) -> httpx.Response:
        """Follow the application to the provider, and stop at a page or outside."""
        query = "&".join(f"{name}={value}" for name, value in wishes.items())
        begun = visitor.get(f"{self.application}/sign-in?{query}")
        return visitor.get(begun.headers["location"])

    def sign_in(self, visitor: Visitor, username: str, **wishes: str) -> httpx.Response:
        """Type name and password; return the answer to that."""
        page = self.to_sign_in(visitor, **wishes)
        form = forms(page)[0]
        fields = {**form.fields, "username": username, "password": self.demo.passwords[username]}
        return visitor.post(form.action, fields)


@contextlib.contextmanager
def demo_world(folder: Path, valkey: str, **more: Any) -> Iterator[Demo]:
    """Run the demo's provider, directory and application behind a gateway."""
    gateway = gateway_settings()
    port = free_port()
    addresses = servers.DemoAddresses(gateway.public, f"http://127.0.0.1:{port}")
    private = folder / "demo"
    private.mkdir(mode=0o700)
    with servers.start_at(addresses, private, port) as running:
        idp = IdpSettings(
            address=running.provider,
            issuer=gateway.public,
            client_id=servers.GATEWAY_CLIENT,
            client_secret=running.client_secret,
            session_cookies=(SESSION_COOKIE,),
            sessions_path=SESSIONS_PATH,
        )
        with world(idp, gateway, folder, valkey, **more) as started:
            yield Demo(started, running)
