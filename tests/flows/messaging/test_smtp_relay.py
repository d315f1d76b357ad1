import socketserver
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from flows.errors import MessageNotSent
from flows.messaging.message import Message, MessageKind
from flows.messaging.smtp_relay import SmtpRelay
from flows.settings import MailSettings
from tests.flows.world import START, Clock
from tests.servers.processes import free_port
from tests.servers.smtp import SmtpSink

MESSAGE = Message(
    to="jane@home.example",
    channel="email",
    subject="Your verification code for Example",
    text="Hello Jané,\n\n012345\n",
    html="<p>012345</p>",
    kind=MessageKind.RESET_CODE,
    reference="ABCD-EFGH",
)


class PlainSink(socketserver.TCPServer):
    """A server that knows no STARTTLS and takes whatever it gets."""

    ca = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), PlainAnswers)
        self.port = self.server_address[1]
        self.commands: list[str] = []
        self.serving = threading.Thread(target=self.handle_request)


class PlainAnswers(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 plain\r\n")
        for line in self.rfile:
            command = line[:4].decode().upper()
            self.server.commands.append(command)
            self.wfile.write(b"250-plain\r\n250 AUTH PLAIN\r\n" if command == "EHLO" else b"250 Yes\r\n")


@pytest.fixture
def plain_sink() -> Iterator[PlainSink]:
    with PlainSink() as sink:
        sink.serving.start()
        yield sink
        sink.serving.join(20)


def relay(sink: SmtpSink | PlainSink, **changes: object) -> SmtpRelay:
    settings = {
        "host": "localhost",
        "port": sink.port,
        "ca": str(sink.ca or ""),
        "sender": "no-reply@example.org",
    }
    return SmtpRelay(MailSettings.model_validate({**settings, **changes}), Clock())


def test_mail_leaves_over_starttls(smtp_sink: SmtpSink) -> None:
    relay(smtp_sink, organisation="Example Company").send(MESSAGE)
    (received,) = smtp_sink.wait()
    assert received.encrypted
    assert received.recipients == ("jane@home.example",)
    assert received.text.splitlines() == ["Hello Jané,", "", "012345"]
    assert received.message["From"] == "Example Company <no-reply@example.org>"
    assert received.message["Auto-Submitted"] == "auto-generated"
    assert received.message["Date"].datetime == START
    assert received.message.get_body(("html",)).get_content().strip() == "<p>012345</p>"


def test_a_certificate_that_nobody_vouches_for_ends_it(smtp_sink: SmtpSink) -> None:
    with pytest.raises(MessageNotSent) as refused:
        relay(smtp_sink, ca="").send(MESSAGE)
    assert not refused.value.permanent
    assert smtp_sink.messages == []


def test_plain_text_is_never_the_way_out_where_tls_is_asked(plain_sink: SmtpSink) -> None:
    with pytest.raises(MessageNotSent) as refused:
        relay(plain_sink, username="relay", password=SecretStr("s3cret")).send(MESSAGE)
    assert not refused.value.permanent
    plain_sink.serving.join(20)
    assert plain_sink.commands == ["EHLO"]


def test_a_server_that_wants_tls_gets_no_mail_without(smtp_sink: SmtpSink) -> None:
    with pytest.raises(MessageNotSent):
        relay(smtp_sink, tls="none").send(MESSAGE)
    assert smtp_sink.messages == []


def test_the_password_is_given_after_tls(smtp_sink: SmtpSink) -> None:
    smtp_sink.credentials = ("relay", "s3cret")
    relay(smtp_sink, username="relay", password=SecretStr("s3cret")).send(MESSAGE)
    assert smtp_sink.wait()[0].username == "relay"


def test_a_wrong_password_waits_for_the_operator(smtp_sink: SmtpSink) -> None:
    smtp_sink.credentials = ("relay", "s3cret")
    with pytest.raises(MessageNotSent) as refused:
        relay(smtp_sink, username="relay", password=SecretStr("wrong")).send(MESSAGE)
    assert not refused.value.permanent


@pytest.mark.parametrize(("answer", "permanent"), [("451 Try later", False), ("550 No such mailbox", True)])
def test_the_servers_answer_says_whether_to_try_again(
    smtp_sink: SmtpSink, answer: str, permanent: bool
) -> None:
    smtp_sink.refuse = answer
    with pytest.raises(MessageNotSent) as refused:
        relay(smtp_sink).send(MESSAGE)
    assert refused.value.permanent is permanent


def test_a_server_that_is_down_is_tried_again() -> None:
    settings = MailSettings(host="127.0.0.1", port=free_port(), tls="none", seconds=1)
    with pytest.raises(MessageNotSent) as refused:
        SmtpRelay(settings, Clock()).send(MESSAGE)
    assert not refused.value.permanent


@pytest.mark.parametrize(
    "settings",
    [
        MailSettings(host="mail.example.org", tls="none"),
        MailSettings(host="198.51.100.1", tls="none"),
        MailSettings(),
    ],
)
def test_mail_without_tls_beyond_loopback_is_refused_at_start(settings: MailSettings) -> None:
    with pytest.raises(ValueError, match=r"messages\.mail"):
        SmtpRelay(settings, Clock())


def test_a_subject_cannot_bring_headers_along(smtp_sink: SmtpSink) -> None:
    with pytest.raises(ValueError):
        relay(smtp_sink).send(replace(MESSAGE, subject="x\r\nBcc: all@example.org"))
    assert smtp_sink.messages == []
