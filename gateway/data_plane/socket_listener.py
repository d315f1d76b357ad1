"""The Unix socket on which a native data plane reaches the gateway."""

import contextlib
import socket
from pathlib import Path

from gateway.data_plane.exchange import Exchange
from gateway.plane.bridge import Bridge
from gateway.plane.client_address import TrustedProxies
from gateway.plane.listener import Listener
from gateway.plane.observe import Observer
from gateway.plane.origin import Origin
from gateway.plane.request_head import Rules
from gateway.settings import GatewaySettings

MODE = 0o660
THREADS = 2
BODY_BYTES = 2 << 20
"""Two hundred requests of the longest sort."""


class ExchangeListener:
    """Listens for the data plane, on threads of its own: people's requests never keep it waiting."""

    def __init__(self, path: Path, settings: GatewaySettings, exchange: Exchange) -> None:
        origin = Origin("")
        self._path = path
        self._bridge = Bridge(
            exchange,
            threads=THREADS,
            origin=origin,
            body_bytes=BODY_BYTES,
            body_seconds=settings.timeouts.body,
            seconds=settings.timeouts.upstream,
        )
        self._listener = Listener(
            settings.listen,
            rules=Rules(origin, TrustedProxies(())),
            limits=settings.limits,
            timeouts=settings.timeouts,
            observer=Observer(None),
            turn_for=self._bridge.turn,
            bound=bind(path),
        )

    async def start(self) -> None:
        """Listen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Stop, and take the socket away."""
        await self._listener.stop()
        self._bridge.close()
        self._path.unlink(missing_ok=True)


def bind(path: Path) -> socket.socket:
    """Return a bound socket that only its owner and group can connect to, once somebody listens.

    Raises:
        OSError: Somebody listens there already, or the directory is not ours to write.
    """
    if _is_answered(path):
        raise OSError(f"{path} is in use")
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound.bind(str(path))
    # Security: nobody can connect before `listen`, so there is no moment with another mode (S9).
    path.chmod(MODE)
    return bound


def _is_answered(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        probe.connect(str(path))
        return True
    return False
