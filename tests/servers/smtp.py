"""A mail server that keeps what it gets: aiosmtpd with STARTTLS and, when asked for, authentication."""

import asyncio
import email
import email.policy
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path

import aiosmtpd
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.certificates import Authority
from tests.servers.processes import free_port
from tests.servers.versions import ReportVersion


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came in."""

    sender: str
    """From the envelope."""
    recipients: tuple[str, ...]
    """From the envelope."""
    message: EmailMessage
    """Parsed."""
    encrypted: bool
    """Whether the connection was."""
    username: str | None
    """Who authenticated, if anybody."""

    @property
    def text(self) -> str:
        """The plain text part."""
        part = self.message.get_body(("plain",))
        return part.get_content() if part else ""


@dataclass(slots=True)
class SmtpSink:
    """A running mail server; takes everything unless `refuse` is set."""

    port: int
    """On 127.0.0.1."""
    ca: Path
    """Whoever trusts this file trusts the server, as `localhost` and as `127.0.0.1`."""
    messages: list[Received] = field(default_factory=list)
    """Oldest first."""
    refuse: str = ""
    """When set, the answer to every message, such as `451 Try later`."""
    credentials: tuple[str, str] | None = None
    """When set, the only user name and password that authenticate."""
    greylists: bool = False
    """Whether every pair of sender and receiver is told to come again the first time."""
    unknown: set[str] = field(default_factory=set)
    """Receivers that do not exist here."""
    asked: list[str] = field(default_factory=list)
    """Receivers in the order in which somebody wanted to send to them, taken or not."""
    _seen: set[tuple[str, str]] = field(default_factory=set, repr=False)
    _arrived: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def wait(self, count: int = 1, seconds: float = 20) -> list[Received]:
        """Wait until so many messages came in, and return all of them.

        Raises:
            TimeoutError: They did not.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.messages) >= count, seconds):
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {seconds} s")
            return list(self.messages)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Take a receiver, or refuse for now or for good; the name is aiosmtpd's."""
        self.asked.append(address)
        if address in self.unknown:
            return "550 5.1.1 No such mailbox"
        pair = (envelope.mail_from or "", address)
        if self.greylists and pair not in self._seen:
            self._seen.add(pair)
            return "450 4.2.0 Greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Taken"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep one message; the name is aiosmtpd's."""
        if self.refuse:
            return self.refuse
        login = session.auth_data if session.authenticated else None
        received = Received(
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            message=email.message_from_bytes(envelope.content, policy=email.policy.default),
            encrypted=session.ssl is not None,
            username=login.login.decode() if isinstance(login, LoginPassword) else None,
        )
        with self._arrived:
            self.messages.append(received)
            self._arrived.notify_all()
        return "250 Kept"

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, auth_data: LoginPassword
    ) -> AuthResult:
        """Accept the one pair of `credentials`."""
        given = (auth_data.login.decode(), auth_data.password.decode())
        return AuthResult(success=given == self.credentials, handled=False, auth_data=auth_data)


class _StartTlsController(Controller):
    """Offers STARTTLS, and takes no mail before it."""

    def __init__(self, sink: SmtpSink, context: ssl.SSLContext) -> None:
        self._tls = context
        self._sink = sink
        super().__init__(sink, hostname="127.0.0.1", port=sink.port, ready_timeout=20)

    def factory(self) -> SMTP:
        return SMTP(
            self.handler,
            loop=self.loop,
            tls_context=self._tls,
            require_starttls=True,
            authenticator=self._sink.authenticate,
            hostname="localhost",
        )


@pytest.fixture
def smtp_sink(authority: Authority, report_version: ReportVersion) -> Iterator[SmtpSink]:
    """A mail server of the test's own."""
    issued = authority.issue("smtp")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    sink = SmtpSink(free_port(), authority.file)
    controller = _StartTlsController(sink, context)
    controller.start()
    report_version("aiosmtpd", aiosmtpd.__version__)
    try:
        yield sink
    finally:
        _close_connections(controller)
        controller.stop()


def _close_connections(controller: Controller) -> None:
    """Let handlers of connections still open end before the loop does, which would warn."""

    async def cancel() -> None:
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(cancel(), controller.loop).result(10)
