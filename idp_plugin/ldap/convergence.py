"""Whether a new password has arrived at other servers of a directory, found out by using it there.

A server that has not heard of the write would count the password as a wrong one. So it is asked first, as
the service account, when the password was last written; where that is recent enough, it is tried once.
"""

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from idp_plugin.base import Convergence
from idp_plugin.errors import IdpError
from idp_plugin.ldap.address import Server
from idp_plugin.ldap.servers import Servers
from idp_plugin.settings import DirectorySettings

_PAUSE_SECONDS = 0.05


class Replicas:
    """The servers at which a new password is tried. Thread-safe."""

    def __init__(self, settings: DirectorySettings) -> None:
        """Read the settings; raises as `Servers`."""
        self._seconds = settings.replica_seconds
        self._servers = None
        if settings.replicas:
            self._servers = Servers(
                settings.replicas, settings.ca, settings.replica_seconds, keep=settings.keep_seconds
            )

    def converged(
        self,
        written_at: Callable[[Servers, Server], dt.datetime | None],
        opens: Callable[[Servers, Server], bool],
        since: dt.datetime,
    ) -> Convergence | None:
        """Return at how many servers the password works by now; None where none are to be asked.

        Waits for the slowest, at most `DirectorySettings.replica_seconds`.

        Args:
            written_at: Returns when a server thinks that the password was last written.
            opens: Tells whether the password is right there.
            since: When it was written.
        """
        servers = self._servers
        if servers is None:
            return None
        end = time.monotonic() + self._seconds

        def works(server: Server) -> bool:
            try:
                return _is_heard(lambda: written_at(servers, server), since, end) and opens(servers, server)
            except IdpError:
                return False

        with ThreadPoolExecutor(len(servers.all), thread_name_prefix="replicas") as pool:
            return Convergence(sum(pool.map(works, servers.all)), len(servers.all))


def _is_heard(written_at: Callable[[], dt.datetime | None], since: dt.datetime, end: float) -> bool:
    while True:
        found = written_at()
        if found is not None and found >= since:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(_PAUSE_SECONDS)
