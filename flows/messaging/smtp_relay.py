"""Mail through the organisation's own server."""

import datetime as dt
import smtplib
import ssl
from collections.abc import Callable
from email.utils import format_datetime, formataddr, make_msgid

from flows.errors import MessageNotSent
from flows.messaging import mime
from flows.messaging.bounces import PROVIDER, envelope_sender, new_token
from flows.messaging.loopback import is_loopback
from flows.messaging.message import Handed, Message
from flows.settings import MailSettings

_PERMANENT = 500


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

    def send(self, message: Message) -> Handed | None:
        """Hand one message to the server.

        Returns:
            How a later report will name it; None where none is taken.

        Raises:
            MessageNotSent: `permanent` where the server refused it for good (5xx).
        """
        mail, settings = self._compose(message), self._settings
        token = new_token() if settings.bounces else ""
        sender = envelope_sender(settings.bounces, token) if token else settings.sender
        try:
            with self._connect() as server:
                self._log_in(server)
                server.sendmail(sender, [message.to], mail)
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
        return Handed(PROVIDER, token) if token else None

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
        return mime.written(headers, message.text, message.html)
