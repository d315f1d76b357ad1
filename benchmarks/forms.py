"""A browser without script: pages, their forms, and the mail that the portals send."""

import email
import email.policy
import html
import http.cookiejar
import queue
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode, urljoin

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from benchmarks.harness import Unfit
from tests.servers.processes import free_port

_HIDDEN = re.compile(r"<input\b[^>]*>")
_NAME = re.compile(r'\bname="([^"]*)"')
_VALUE = re.compile(r'\bvalue="([^"]*)"')


class Mail:
    """Takes every message."""

    def __init__(self) -> None:
        self._messages: queue.Queue[str] = queue.Queue()
        self.port = free_port()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Keep the text of one message."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = email.message_from_bytes(content, policy=email.policy.default)
        texts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
        self._messages.put("\n".join(texts))
        return "250 OK"

    def find(self, pattern: str) -> str:
        """Wait for a message in which a pattern is found, and return what its group holds."""
        while True:
            try:
                text = self._messages.get(timeout=20)
            except queue.Empty as error:
                raise Unfit("no mail came") from error
            found = re.search(pattern, text)
            if found:
                return html.unescape(found[1])

    def forget(self) -> None:
        """Drop what came late."""
        while not self._messages.empty():
            self._messages.get()


@contextmanager
def mail_server() -> Iterator[Mail]:
    """Start a mail server."""
    mail = Mail()
    controller = Controller(mail, hostname="127.0.0.1", port=mail.port)
    controller.start()
    try:
        yield mail
    finally:
        controller.stop()


class Visitor:
    """One browser, new cookies."""

    def __init__(self, port: int) -> None:
        self.at = f"http://127.0.0.1:{port}/"
        self.page = ""
        self.requests = 0
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar, _Counting(self))

    def open(self, address: str) -> "Visitor":
        """Read a page."""
        self._ask(urljoin(self.at, address), None)
        return self

    def send(self, address: str, **fields: str) -> "Visitor":
        """Post the page's hidden fields with these."""
        body = urlencode({**self.hidden(), **fields}).encode()
        self._ask(urljoin(self.at, address), body)
        return self

    def hidden(self) -> dict[str, str]:
        """Return the hidden fields of the page."""
        tags = [tag for tag in _HIDDEN.findall(self.page) if 'type="hidden"' in tag]
        named = [(_NAME.search(tag), _VALUE.search(tag)) for tag in tags]
        return {name[1]: html.unescape(value[1]) for name, value in named if name and value}

    def _ask(self, address: str, body: bytes | None) -> None:
        with self._opener.open(address, body, timeout=30) as answer:
            self.at, self.page = answer.url, answer.read().decode()


class _Counting(urllib.request.BaseHandler):
    def __init__(self, visitor: Visitor) -> None:
        self._visitor = visitor

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        self._visitor.requests += 1
        return request
