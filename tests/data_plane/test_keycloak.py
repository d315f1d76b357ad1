"""The printed configurations in front of a real Keycloak, with an independent relying party."""

import asyncio
import getpass
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from gateway.data_plane import envoy, nginx
from gateway.data_plane.exchange import LOOKS, Exchange
from gateway.data_plane.socket_listener import ExchangeListener
from gateway.ended_sessions import EndedSessions
from gateway.interception.hold import Replay
from gateway.interception.sign_in_audit import SignInAudit
from gateway.settings import GatewaySettings
from idp_plugin.settings import IdpSettings
from tests.data_plane.site import eventually
from tests.gateway.interception.interception_world import World, world
from tests.servers import envoy_edge, nginx_lua
from tests.servers import keycloak as kc
from tests.servers.processes import free_port
from tests.servers.relying_party import RelyingParty, StartRelyingParty
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor, forms

PLANES = {
    "nginx": (nginx.configuration, nginx_lua.serving),
    "envoy": (envoy.configuration, envoy_edge.serving),
}
PERSON = kc.LocalPerson("alice", "Passw0rd!alice")


@dataclass
class Fronted:
    """A gateway with a native plane in front of it."""

    world: World
    realm: kc.Realm
    log: Path

    def sign_in(self, visitor: Visitor, party: RelyingParty) -> httpx.Response:
        """Sign in with name and password; return what leaves the provider."""
        page = visitor.follow(visitor.get(party.start), until=f"{self.world.public}/sparekey/")
        assert 'id="sparekey-link"' in page.text
        form = next(form for form in forms(page) if "password" in form.fields)
        fields = {**form.fields, "username": "alice", "password": "Passw0rd!alice"}
        answer = visitor.post(form.action, fields)
        while (location := answer.headers.get("location", "")).startswith(f"{self.world.public}/realms/"):
            answer = visitor.get(location)
        return answer


@pytest.fixture(params=PLANES)
def fronted(
    request: pytest.FixtureRequest,
    keycloak_realm: kc.MakeRealm,
    tmp_path: Path,
    short_folder: Path,
    valkey: Valkey,
) -> Iterator[Fronted]:
    configuration, serving = PLANES[request.param]
    port = free_port()
    gateway = GatewaySettings(
        public=f"http://127.0.0.1:{port}",
        listen=f"127.0.0.1:{free_port()}",
        operations="",
        trusted_proxies=("127.0.0.1",),
        data_plane_socket=short_folder / "edge.sock",
    )
    realm = keycloak_realm(public=gateway.public, people=[PERSON])
    idp = IdpSettings(
        kind="keycloak",
        address=realm.keycloak.address,
        issuer=realm.issuer,
        client_id=kc.GATEWAY_CLIENT,
        client_secret=kc.GATEWAY_SECRET,
        # A busy machine is no outage.
        silent_check_seconds=30,
    )
    with world(idp, gateway, tmp_path, valkey.url) as started:
        listener = _listen(started, gateway)
        edge = nginx.Edge(
            listen=f"127.0.0.1:{port}",
            user="root" if os.geteuid() == 0 else getpass.getuser(),
            workers="1",
            places=nginx.Places(tmp_path, tmp_path, tmp_path),
        )
        settings = SimpleNamespace(gateway=gateway, idp=idp)
        text = configuration(
            settings,  # type: ignore[arg-type]
            edge,
            recogniser=started.parts.recogniser,
            vault=started.expiring.vault,
        )
        looks = LOOKS._value.get()
        with serving(text, tmp_path, port):
            eventually(lambda: LOOKS._value.get() > looks + 1)
            yield Fronted(started, realm, tmp_path / "access.log")
        asyncio.run_coroutine_threadsafe(listener.stop(), started.loop).result(20)


def _listen(started: World, gateway: GatewaySettings) -> ExchangeListener:
    exchange = Exchange(
        gate=started.gate,
        remembered=started.parts.remembered,
        audit=SignInAudit(started.database),
        ended=EndedSessions(started.expiring),
        loop=started.loop,
        clock=started.now,
    )
    assert gateway.data_plane_socket
    listener = ExchangeListener(gateway.data_plane_socket, gateway, exchange)
    asyncio.run_coroutine_threadsafe(listener.start(), started.loop).result(20)
    return listener


def test_held_released_by_the_same_request_and_then_decided_alone(
    fronted: Fronted, relying_party: StartRelyingParty
) -> None:
    party = relying_party(fronted.realm.issuer, kc.PUBLIC_APPLICATION)
    visitor = Visitor()
    answer = fronted.sign_in(visitor, party)
    hold_id = fronted.world.held(answer)
    fronted.world.register(fronted.realm.subject("alice"))
    # Only a request that the plane handed over can be sent again.
    released = fronted.world.release(visitor, hold_id)
    assert isinstance(released, Replay)
    assert visitor.follow(visitor.get(released.location)).status_code == 200
    assert visitor.follow(visitor.get(party.start)).status_code == 200
    assert len(party.sign_ins) == 2
    assert not party.refusals
    eventually(lambda: '"why":"decided"' in fronted.log.read_text())
    visitor.client.close()
