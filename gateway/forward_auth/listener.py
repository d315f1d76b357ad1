"""The address at which proxies ask: its own listener, so that nothing public ever leads there (S9, S13)."""

from typing import cast

from gateway.forward_auth.ask_head import AskHead, reader
from gateway.forward_auth.asked import Proxies
from gateway.forward_auth.door import Door
from gateway.forward_auth.settings import ForwardAuthSettings
from gateway.forward_auth.turn import AskTurn
from gateway.plane.client_address import TrustedProxies
from gateway.plane.connection import Connection
from gateway.plane.listener import Listener
from gateway.plane.observe import Observer
from gateway.plane.origin import Origin
from gateway.plane.request_head import RequestHead, Rules
from gateway.plane.turn import Turn
from gateway.settings import GatewaySettings


class ForwardAuthListener:
    """Answers `{prefix}/auth` and nothing else, to listed proxies and nobody else."""

    def __init__(
        self,
        settings: ForwardAuthSettings,
        gateway: GatewaySettings,
        *,
        door: Door,
        observer: Observer,
    ) -> None:
        self._door = door
        self._listener = Listener(
            settings.listen,
            rules=Rules(Origin(""), TrustedProxies(())),
            limits=gateway.limits,
            timeouts=gateway.timeouts,
            observer=observer,
            turn_for=self._turn_for,
            read_head=reader(f"{gateway.prefix}/auth".encode(), Proxies(settings.proxies)),
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
        self._door.known.start()

    async def stop(self) -> None:
        """As `Plane.stop`."""
        await self._listener.stop()
        self._door.known.stop()

    def _turn_for(self, connection: Connection, head: RequestHead) -> Turn:
        return AskTurn(connection, cast(AskHead, head), self._door)
