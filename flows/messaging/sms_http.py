"""Text messages by any provider's HTTP interface: a template says what is sent (S24)."""

import json
from typing import Any
from urllib.parse import urlencode

import structlog

from flows.errors import MessageNotSent
from flows.messaging.carrier_http import CarrierHttp
from flows.messaging.carrier_settings import SmsHttpSettings, filled
from flows.messaging.message import Handed, Message
from flows.messaging.signed import document_in, found_at

_log = structlog.get_logger(__name__)


class SmsHttp:
    """A channel."""

    def __init__(self, settings: SmsHttpSettings) -> None:
        """Take the settings."""
        self._settings = settings
        self._template = json.loads(settings.template.get_secret_value())
        self._http = CarrierHttp(settings)

    def send(self, message: Message) -> Handed | None:
        """Hand one message to the provider.

        Raises:
            MessageNotSent: `permanent` where the provider says that it never will take it.
        """
        settings = self._settings
        content = self._content(message)
        kind = "application/json" if settings.body == "json" else "application/x-www-form-urlencoded"
        answer = self._http.ask(settings.method, content, {"Content-Type": kind})
        if answer.status not in settings.accepted:
            _log.warning("sms_provider_refused", provider=settings.name, status=answer.status)
            raise MessageNotSent(permanent=answer.status in settings.refused)
        named = found_at(document_in(answer.body), settings.id_path)
        return Handed(settings.name, named) if named and settings.receipts else None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _content(self, message: Message) -> bytes:
        values = {
            "to": message.to,
            "text": message.text,
            "reference": message.reference,
            "sender": self._settings.sender,
        }
        document: Any = filled(self._template, values)
        if self._settings.body == "form":
            return urlencode(document).encode()
        return json.dumps(document, ensure_ascii=False).encode()
