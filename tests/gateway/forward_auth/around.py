"""A gateway with forward auth on real ports, an application, and people with browsers."""

import asyncio
import contextlib
import shutil
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.forward_auth.listener import ForwardAuthListener
from gateway.forward_auth.settings import ForwardAuthSettings, States
from gateway.plane.observe import Observer
from tests.gateway.forward_auth.guarded import Guarded, guarded
from tests.journeys.world import World, open_world
from tests.servers.certificates import Authority
from tests.servers.visitor import Visitor, forms

WIKI = "https://wiki.example.org"
NOTES = "https://notes.example.org"
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
SCRIPT = {"Accept": "*/*", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


class Mapped(httpx.BaseTransport):
    """Reaches hosts that no name server knows, at ports of this machine."""

    def __init__(self, trusting: ssl.SSLContext, ports: Mapping[str, int]) -> None:
        """Take the ports by host name."""
        self._ports = ports
        self._inner = httpx.HTTPTransport(verify=trusting)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request where its host is served; `Host` and the certificate's name stay the host's."""
        host = request.url.host
        if host not in self._ports:
            return self._inner.handle_request(request)
        here = request.url.copy_with(host="127.0.0.1", port=self._ports[host])
        extensions = {**request.extensions, "sni_hostname": host}
        return self._inner.handle_request(
            httpx.Request(
                request.method, here, headers=request.headers, stream=request.stream, extensions=extensions
            )
        )

    def close(self) -> None:
        """Close connections."""
        self._inner.close()


@dataclass
class Around:
    """Everything that a test of forward auth needs."""

    world: World
    application: Guarded
    authority: Authority
    folder: Path
    socket: Path
    """At which a native data plane asks what ended."""
    listeners: Mapping[States, ForwardAuthListener]
    """Where a proxy asks that states what was asked for in one of the ways."""
    loop: asyncio.AbstractEventLoop
    proxy: httpx.Client
    """Asks what a proxy would."""
    visitors: list[Visitor] = field(default_factory=list)

    @cached_property
    def _trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority.file)

    def browser(self, **ports: int) -> "Browser":
        """A new browser; ports are those of `wiki` and `notes`."""
        named = {f"{name}.example.org": port for name, port in ports.items()}
        client = httpx.Client(transport=Mapped(self._trusting, named), timeout=30, headers=NAVIGATION)
        browser = Browser(self, client)
        self.visitors.append(browser.visitor)
        return browser

    def ask(self, states: States, **fields: str) -> httpx.Response:
        """Ask as a proxy does; underscores in names stand for hyphens."""
        address = f"http://127.0.0.1:{self.listeners[states].port}/sparekey/auth"
        named = {name.replace("_", "-"): value for name, value in fields.items()}
        return self.proxy.get(address, headers=named)


@dataclass
class Browser:
    """One person's browser, at applications and at the gateway."""

    around: Around
    client: httpx.Client

    def __post_init__(self) -> None:
        self.visitor = Visitor(self.client)

    def open(self, address: str) -> httpx.Response:
        """Open a page and follow, until a page is there."""
        return self.visitor.follow(self.visitor.get(address))

    def fetch(self, address: str, method: str = "GET", **fields: str) -> httpx.Response:
        """Ask as a script on a page does, with the cookies of the address."""
        cookies = self.visitor._matching(address)
        headers = {**SCRIPT, **fields, **({"Cookie": cookies} if cookies else {})}
        self.client.cookies.clear()
        return self.client.request(method, address, headers=headers)

    def sign_in(self, page: httpx.Response, username: str) -> httpx.Response:
        """Type name and password into the provider's page, and follow."""
        password = self.around.world.around.passwords[username]
        # A session of the very moment in which another was ended counts as ended with it.
        self.around.world.clock.forward(milliseconds=1)
        return self.visitor.submit(page, username=username, password=password)

    def arrive(self, address: str, username: str) -> httpx.Response:
        """Open an application's page as somebody who has to sign in first."""
        page = self.open(address)
        assert forms(page), (page.url, page.text)
        return self.sign_in(page, username)

    def cookie(self, host: str, name: str = "__Host-sparekey-application") -> str:
        """Return what the browser has of ours at a host."""
        return self.visitor.cookies.get((host, "/", name), "")


@contextlib.contextmanager
def opened(**options: Any) -> Iterator[Around]:
    """Start everything but a proxy."""
    # A socket's path may have 107 bytes, so pytest's own long temporary names do not serve.
    folder = Path(tempfile.mkdtemp(prefix="sparekey-forward-"))
    forward_auth = {
        "listen": "127.0.0.1:0",
        "proxies": [{"address": "127.0.0.1", "states": "x_forwarded"}],
        "applications": [WIKI, NOTES],
        **options.pop("forward_auth", {}),
    }
    socket = folder / "edge.sock"
    gateway = {"data_plane_socket": str(socket), **options.pop("gateway", {})}
    try:
        with (
            open_world(
                folder, host="localhost", gateway=gateway, forward_auth=forward_auth, **options
            ) as world,
            guarded() as application,
            httpx.Client(trust_env=False, verify=False, timeout=30) as proxy,
            _serving(world) as (loop, listeners),
        ):
            authority = Authority.new(folder)
            around = Around(world, application, authority, folder, socket, listeners, loop, proxy)
            yield around
            for visitor in around.visitors:
                visitor.client.close()
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _serving(
    world: World,
) -> Iterator[tuple[asyncio.AbstractEventLoop, Mapping[States, ForwardAuthListener]]]:
    settings = world.sparekey.services.settings
    assert world.sparekey.door
    listeners = {
        states: ForwardAuthListener(
            ForwardAuthSettings.model_validate(
                {
                    **settings.forward_auth.model_dump(),
                    "proxies": [{"address": "127.0.0.1", "states": states}],
                }
            ),
            settings.gateway,
            door=world.sparekey.door,
            observer=Observer(None),
        )
        for states in ("x_original", "x_forwarded", "path")
    }
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, loop).result(20)

    assert settings.gateway.listen.endswith(f":{urlsplit(world.public).port}")
    run(world.sparekey.start(log_descriptor=None))
    for listener in listeners.values():
        run(listener.start())
    yield loop, listeners
    for listener in listeners.values():
        run(listener.stop())
    run(world.sparekey.stop())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()
