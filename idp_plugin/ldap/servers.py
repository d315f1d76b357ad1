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
from idp_plugin.ldap.kept_sessions import KeptSessions
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
        keep: float = 0,
        keep_after_write: bool = True,
        cool_down: float = COOL_DOWN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read addresses and authority.

        Args:
            addresses: As `parse_server` reads them.
            ca: Authority file.
            seconds: For one whole operation.
            keep: For so many seconds an unused connection of `run_signed_in` is kept; 0 for not at all.
            keep_after_write: Whether a connection over which something was written is kept too.
            cool_down: See `COOL_DOWN_SECONDS`.
            clock: Monotonic seconds.

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
        self._kept = KeptSessions(keep, clock=clock)
        self._keep_after_write = keep_after_write
        self._cool_down = cool_down
        self._clock = clock
        self._failed_until: dict[Server, float] = {}
        self._lock = threading.Lock()

    @property
    def all(self) -> tuple[Server, ...]:
        """Every server, as configured."""
        return self._servers

    def named(self, name: str) -> Server:
        """Return the server of this name, as `str` writes it.

        Raises:
            IdpMisconfigured: None of ours.
        """
        for server in self._servers:
            if str(server) == name:
                return server
        raise IdpMisconfigured(f"{name} is not among the servers")

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

    def run_signed_in(
        self, sign_in: Callable[[Session], None], work: Callable[[Session], T], *, only: Server | None = None
    ) -> T:
        """Run `work` as `run` does, over a connection that is signed in; a kept one where there is one.

        Args:
            sign_in: Binds a fresh connection, always as the same account.
            work: Begins with a question, and binds as nobody. May be called twice per server.
            only: Ask this server and no other.
        """
        servers = (only,) if only else self._in_order()
        return self._first(servers, lambda server, deadline: self._on_kept(server, sign_in, work, deadline))

    def _on_kept(
        self,
        server: Server,
        sign_in: Callable[[Session], None],
        work: Callable[[Session], T],
        deadline: Deadline,
    ) -> T:
        left, kept = deadline.left(), self._kept.take(server)
        if kept is not None:
            kept.begin_again(left)
            # A server may end what waits at any moment. Nothing was written then, so it is asked once more.
            with contextlib.suppress(ServerFailed):
                return self._and_keep(kept, work)

        def signed_in(session: Session) -> T:
            sign_in(session)
            return work(session)

        return self._and_keep(self._open(server, deadline), signed_in)

    def _and_keep(self, session: Session, work: Callable[[Session], T]) -> T:
        """Run `work` and keep the connection; whatever `work` raises ends it."""
        is_whole = False
        try:
            result = self._worked(session, work)
            is_whole = self._keep_after_write or not session.has_written
        finally:
            if is_whole:
                self._kept.put(session)
            else:
                session.close()
        return result

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
            return self._worked(session, work)
        finally:
            session.close()

    def _worked(self, session: Session, work: Callable[[Session], T]) -> T:
        try:
            return work(session)
        except ServerFailed as error:
            if session.has_written:
                raise IdpUnavailable(str(session.server)) from error
            raise
        except OutcomeUnknown:
            self._note_failure(session.server, ServerFailed(session.server))
            raise

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
