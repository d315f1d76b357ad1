"""Mail through the organisation's own server.

The message is put together by the older half of the `email` package: the newer parses every header anew and
takes four times as long, which was a tenth of what a whole reset costs.
"""

import datetime as dt
import smtplib
import ssl
from collections.abc import Callable
from email.charset import QP, Charset
from email.header import Header
from email.message import Message as Mail
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.policy import compat32
from email.utils import format_datetime, formataddr, make_msgid

from flows.errors import MessageNotSent
from flows.messaging.loopback import is_loopback
from flows.messaging.message import Message
from flows.settings import MailSettings

_PERMANENT = 500
_CHARSET = Charset("utf-8")
# Base64, the default, looks like something to hide to those who sort mail.
_CHARSET.body_encoding = QP
_WITH_CRLF = compat32.clone(linesep="\r\n")


class SmtpRelay:
    """One connection for each message, verified TLS unless the server is on loopback."""

    def __init__(self, settings: MailSettings, clock: Callable[[], dt.datetime]) -> None:
        """Take the settings.

        Raises:
            ValueError: Mail without TLS to a server that is not on loopback, or no server at all.
        """
        if not settings.host:
            raise ValueError("messages.mail.host: no mail server is set")
        if settings.tls == "none" and not is_loopback(settings.host):
            raise ValueError("messages.mail.tls: `none` is allowed for a server on loopback only")
        self._settings = settings
        self._clock = clock
        self._context = ssl.create_default_context(cafile=settings.ca or None)
        self._greeting: str | None = None
        """What we call ourselves; found out by asking the resolver, so only once."""

    def send(self, message: Message) -> None:
        """Hand one message to the server.

        Raises:
            MessageNotSent: `permanent` where the server refused it for good (5xx).
        """
        mail = self._compose(message)
        try:
            with self._connect() as server:
                self._log_in(server)
                server.sendmail(self._settings.sender, [message.to], mail)
        except smtplib.SMTPRecipientsRefused as error:
            worst = max(code for code, _ in error.recipients.values())
            raise MessageNotSent(unreachable=worst >= _PERMANENT) from error
        except smtplib.SMTPAuthenticationError as error:
            # Wrong credentials are the operator's to mend: the message waits meanwhile.
            raise MessageNotSent from error
        except smtplib.SMTPResponseException as error:
            raise MessageNotSent(permanent=error.smtp_code >= _PERMANENT) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MessageNotSent from error

    def _connect(self) -> smtplib.SMTP:
        where, greeting = self._settings, self._greeting
        if where.tls == "implicit":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                where.host, where.port, greeting, timeout=where.seconds, context=self._context
            )
        else:
            server = smtplib.SMTP(where.host, where.port, greeting, timeout=where.seconds)
        self._greeting = server.local_hostname
        if where.tls == "starttls":
            try:
                server.starttls(context=self._context)
            except BaseException:
                server.close()
                raise
        return server

    def _log_in(self, server: smtplib.SMTP) -> None:
        if self._settings.username:
            server.login(self._settings.username, self._settings.password.get_secret_value())

    def _compose(self, message: Message) -> bytes:
        sender = self._settings.sender
        mail = _body(message)
        headers = {
            "From": formataddr((self._settings.organisation, sender)),
            "To": message.to,
            "Subject": message.subject,
            "Date": format_datetime(self._clock()),
            "Message-ID": make_msgid(domain=sender.rpartition("@")[2]),
            # Spec: RFC 3834 section 5: no answering machine replies to it.
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        }
        for name, value in headers.items():
            mail[name] = _one_line(value)
        return mail.as_bytes(policy=_WITH_CRLF)


def _body(message: Message) -> Mail:
    if message.html is None:
        return _text("plain", message.text)
    return MIMEMultipart("alternative", _subparts=[_text("plain", message.text), _text("html", message.html)])


def _text(subtype: str, text: str) -> Mail:
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part.set_payload(text, _CHARSET)
    return part


def _one_line(value: str) -> str:
    """Return a header's value; raises `ValueError` where it would begin another header."""
    # Security: a line break in a name or an address would let its author write headers.
    if any(letter in value for letter in "\r\n\0"):
        raise ValueError("a header has one line")
    return value if value.isascii() else Header(value, "utf-8").encode()
