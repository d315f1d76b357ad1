"""The servers of one directory: fail-over with a cool-down, under one deadline."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from idp_plugin.errors import IdpMisconfigured, IdpUnavailable, OutcomeUnknown
from idp_plugin.ldap.address import Server, parse_server
from idp_plugin.ldap.connection import ServerFailed, Session, open_session
from idp_plugin.ldap.strict_socket import Deadline, tls_context

log = structlog.get_logger(__name__)
T = TypeVar("T")

COOL_DOWN_SECONDS = 30.0
"""For this long a server that did not answer is asked last."""


class Servers:
    """The servers of one directory, with fail-over. Thread-safe."""

    def __init__(
        self,
        addresses: Sequence[str],
        ca: Path,
        seconds: float,
        *,
        cool_down: float = COOL_DOWN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read addresses and authority.

        Raises:
            IdpMisconfigured: No server, an address that is none, or an unreadable authority file.
        """
        if not addresses:
            raise IdpMisconfigured("no servers")
        self._servers = tuple(parse_server(address) for address in addresses)
        try:
            self._context = tls_context(ca)
        except OSError as error:
            raise IdpMisconfigured(f"authority file {ca}") from error
        self._seconds = seconds
        self._cool_down = cool_down
        self._clock = clock
        self._failed_until: dict[Server, float] = {}
        self._lock = threading.Lock()

    @property
    def all(self) -> tuple[Server, ...]:
        """Every server, as configured."""
        return self._servers

    def run(self, work: Callable[[Session], T], *, only: Server | None = None) -> T:
        """Run `work` on the first server that can be asked, the next one when it fails before a write.

        Args:
            work: Gets an open connection, not yet bound. May be called once per server.
            only: Ask this server and no other.

        Raises:
            OutcomeUnknown: From a write whose answer was lost.
            IdpUnavailable: No server answered in time; nothing was changed.
            IdpMisconfigured: None could be verified, or `work` says so.
        """
        servers = (only,) if only else self._in_order()
        return self._first(servers, lambda server, deadline: self._on(server, work, deadline))

    def _first(self, servers: Sequence[Server], ask: Callable[[Server, Deadline], T]) -> T:
        """Return the first server's answer; each gets an equal share of the time that is left."""
        deadline = Deadline(self._seconds)
        failure = ServerFailed(servers[0])
        for position, server in enumerate(servers):
            try:
                share = deadline.left() / (len(servers) - position)
                result = ask(server, Deadline(share))
            except TimeoutError:
                break
            except ServerFailed as error:
                self._note_failure(server, error)
                failure = error
            else:
                self._note_success(server)
                return result
        if failure.certificate:
            raise IdpMisconfigured(f"certificate of {failure.server}") from failure
        if failure.read_only:
            raise IdpMisconfigured(f"{failure.server} is read-only and refers writes elsewhere") from failure
        raise IdpUnavailable(str(failure.server)) from failure

    @contextlib.contextmanager
    def lasting(self) -> Iterator[Session]:
        """Open a connection for long work; the caller renews its deadline.

        Raises:
            IdpUnavailable: No server answered, or it stopped answering in the middle.
        """
        session = self._first(self._in_order(), self._open)
        try:
            yield session
        except ServerFailed as error:
            self._note_failure(error.server, error)
            raise IdpUnavailable(str(error.server)) from error
        finally:
            session.close()

    def _on(self, server: Server, work: Callable[[Session], T], deadline: Deadline) -> T:
        session = self._open(server, deadline)
        try:
            return work(session)
        except ServerFailed as error:
            if session.has_written:
                raise IdpUnavailable(str(server)) from error
            raise
        except OutcomeUnknown:
            self._note_failure(server, ServerFailed(server))
            raise
        finally:
            session.close()

    def _open(self, server: Server, deadline: Deadline) -> Session:
        return open_session(server, self._context, deadline)

    def _in_order(self) -> tuple[Server, ...]:
        """Return servers as configured, those that failed lately last, never left out."""
        now = self._clock()
        with self._lock:
            resting = {server for server, until in self._failed_until.items() if until > now}
        return tuple(sorted(self._servers, key=lambda server: server in resting))

    def _note_failure(self, server: Server, error: ServerFailed) -> None:
        with self._lock:
            self._failed_until[server] = self._clock() + self._cool_down
        cause = type(error.__cause__).__name__ if error.__cause__ else "refused"
        log.warning("directory_server_failed", server=str(server), certificate=error.certificate, cause=cause)

    def _note_success(self, server: Server) -> None:
        with self._lock:
            self._failed_until.pop(server, None)
