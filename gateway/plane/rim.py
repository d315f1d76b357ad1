"""The plane, put together: who answers which address, started and stopped as one.

On Debian's and python.org's builds alike, run it on uvloop: `uvloop.run(...)`.
"""

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.plane.bridge import Bridge
from gateway.plane.client_address import TrustedProxies
from gateway.plane.connection import Connection
from gateway.plane.listener import Listener
from gateway.plane.observe import Observer
from gateway.plane.origin import Origin
from gateway.plane.proxy import Proxy
from gateway.plane.request_head import Refused, RequestHead, Rules
from gateway.plane.turn import Turn
from gateway.plane.upstream import Upstream
from gateway.plane.verdict import Interceptor
from gateway.settings import GatewaySettings, TlsSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

CHANGE_PASSWORD = b"/.well-known/change-password"
"""The only address outside the prefix that is ours. Source: W3C, A Well-Known URL for Changing Passwords."""


class Plane:
    """The public listener: our pages under the prefix, everything else to the identity provider.

    Args:
        idp_address: `http://host:port` or `https://host:port`.
        tls_ca: Authorities for an `https` address; the system's when None.
        application: Answers under `settings.prefix` and `/.well-known/change-password`.
        agents: Answers under `agent/` of the prefix, with threads of its own; None where there are none.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        idp_address: str,
        tls_ca: Path | None,
        application: "WSGIApplication",
        agents: "WSGIApplication | None" = None,
        interceptor: Interceptor,
        observer: Observer,
    ) -> None:
        origin = Origin(settings.public)
        self._settings = settings
        self._below_prefix = f"{settings.prefix}/".encode()
        self._own_paths = (settings.prefix.encode(), CHANGE_PASSWORD)
        self._upstream = Upstream(idp_address, tls_ca=tls_ca, connect_seconds=settings.timeouts.connect)
        self._proxy = Proxy(
            self._upstream,
            interceptor,
            origin=origin,
            limits=settings.limits,
            timeouts=settings.timeouts,
        )
        self._bridge = _bridge(settings, application, origin)
        self._below_agent = f"{settings.prefix}/agent/".encode()
        # Agents wait for orders: on threads of their own, or people would wait with them.
        self._agents = _bridge(settings, agents, origin, settings.agent_threads) if agents else None
        self._listener = Listener(
            settings.listen,
            rules=Rules(origin, TrustedProxies(settings.trusted_proxies)),
            limits=settings.limits,
            timeouts=settings.timeouts,
            observer=observer,
            turn_for=self._turn_for,
            tls=_tls_context(settings.tls) if settings.tls else None,
            each_tick=self._upstream.close_idle,
        )

    @property
    def port(self) -> int:
        """The port that was taken."""
        return self._listener.port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address is taken or not ours.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """Stop listening, end what is in flight within `timeouts.stop`, close everything."""
        await self._listener.stop()
        if self._proxy.examining:
            await asyncio.wait(self._proxy.examining, timeout=1)
        await self._upstream.close()
        self._bridge.close()
        if self._agents:
            self._agents.close()

    def _turn_for(self, connection: Connection, head: RequestHead) -> Turn:
        path = head.path
        if self._agents and path.startswith(self._below_agent):
            return self._agents.turn(connection, head)
        if path.startswith(self._below_prefix) or path in self._own_paths:
            if head.is_service_worker:
                # Security: a worker of ours would see every request below the prefix (S22).
                raise Refused(403, "service_worker")
            return self._bridge.turn(connection, head)
        return self._proxy.turn(connection, head)


class OperationsListener:
    """A second listener for a WSGI application alone: health and metrics, for this machine only."""

    def __init__(
        self, settings: GatewaySettings, *, application: "WSGIApplication", observer: Observer
    ) -> None:
        origin = Origin("")
        self._bridge = _bridge(settings, application, origin)
        self._listener = Listener(
            settings.operations,
            rules=Rules(origin, TrustedProxies(())),
            limits=settings.limits,
            timeouts=settings.timeouts,
            observer=observer,
            turn_for=self._bridge.turn,
        )

    @property
    def port(self) -> int:
        """The port that was taken."""
        return self._listener.port

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address is taken or not ours.
        """
        await self._listener.start()

    async def stop(self) -> None:
        """As `Plane.stop`."""
        await self._listener.stop()
        self._bridge.close()


def _bridge(
    settings: GatewaySettings, application: "WSGIApplication", origin: Origin, threads: int = 0
) -> Bridge:
    return Bridge(
        application,
        threads=threads or settings.threads,
        origin=origin,
        body_bytes=settings.limits.local_body_bytes,
        body_seconds=settings.timeouts.body,
        seconds=settings.timeouts.upstream,
    )


def _tls_context(settings: TlsSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(settings.certificate, settings.key)
    return context
