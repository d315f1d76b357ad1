"""Mail through the organisation's own server."""

import datetime as dt
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr, make_msgid

from flows.errors import MessageNotSent
from flows.messaging.loopback import is_loopback
from flows.messaging.message import Message
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

    def send(self, message: Message) -> None:
        """Hand one message to the server.

        Raises:
            MessageNotSent: `permanent` where the server refused it for good (5xx).
        """
        mail = self._compose(message)
        try:
            with self._connect() as server:
                self._log_in(server)
                server.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            worst = max(code for code, _ in error.recipients.values())
            raise MessageNotSent(permanent=worst >= _PERMANENT) from error
        except smtplib.SMTPAuthenticationError as error:
            # Wrong credentials are the operator's to mend: the message waits meanwhile.
            raise MessageNotSent from error
        except smtplib.SMTPResponseException as error:
            raise MessageNotSent(permanent=error.smtp_code >= _PERMANENT) from error
        except (OSError, smtplib.SMTPException) as error:
            raise MessageNotSent from error

    def _connect(self) -> smtplib.SMTP:
        where = self._settings
        if where.tls == "implicit":
            return smtplib.SMTP_SSL(where.host, where.port, timeout=where.seconds, context=self._context)
        server = smtplib.SMTP(where.host, where.port, timeout=where.seconds)
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

    def _compose(self, message: Message) -> EmailMessage:
        sender = self._settings.sender
        mail = EmailMessage(policy=SMTP)
        mail["From"] = formataddr((self._settings.organisation, sender))
        mail["To"] = message.to
        mail["Subject"] = message.subject
        mail["Date"] = format_datetime(self._clock())
        mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
        # Spec: RFC 3834 section 5: no answering machine replies to it.
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(message.text)
        if message.html is not None:
            mail.add_alternative(message.html, subtype="html")
        return mail
