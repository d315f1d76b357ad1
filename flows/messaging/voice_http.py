"""Calls by a provider that speaks: it gets the words, and says the code only to whoever pressed the key.

The code is read out, digit by digit and twice; it is no proof that somebody pressed a key, because people
press keys to be left alone, and a proof must come from the browser that asked for it (S15).
"""

import json
import time
from typing import Any

import structlog

from flows.authenticators import phone_number
from flows.errors import MessageNotSent
from flows.messaging.carrier_http import CarrierHttp
from flows.messaging.carrier_settings import VoiceHttpSettings
from flows.messaging.message import Handed, Message
from flows.messaging.signed import document_in, found_at, signature

KEY = "#"
_ACCEPTED = frozenset({200, 201, 202})
_NEVER = frozenset({400, 404, 422})
_log = structlog.get_logger(__name__)


class VoiceHttp:
    """A channel."""

    def __init__(self, settings: VoiceHttpSettings, call_back: str) -> None:
        """Take the settings, and the address of ours that the provider tells how a call ended."""
        self._settings = settings
        self._call_back = call_back
        self._http = CarrierHttp(settings)

    def send(self, message: Message) -> Handed | None:
        """Have one person called.

        Raises:
            MessageNotSent: `permanent` where the provider says that it never will.
        """
        settings = self._settings
        content = json.dumps(self._call(message), ensure_ascii=False).encode()
        now = str(int(time.time()))
        signed = {
            "Content-Type": "application/json",
            "X-Timestamp": now,
            "X-Signature": f"sha256={signature(settings.key, now, content)}",
        }
        answer = self._http.ask("POST", content, signed)
        if answer.status not in _ACCEPTED:
            _log.warning("voice_provider_refused", provider=settings.name, status=answer.status)
            raise MessageNotSent(permanent=answer.status in _NEVER)
        named = found_at(document_in(answer.body), settings.id_path)
        return Handed(settings.name, named) if named and settings.receipts else None

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(self, message: Message) -> dict[str, Any]:
        number = phone_number.stored(message.to.encode())
        greeting, _, told = message.text.partition("\n\n")
        return {
            "to": number.e164,
            "extension": number.extension,
            "language": message.locale or "en",
            "say": greeting,
            "key": KEY,
            "then_say": told,
            "tries": self._settings.tries,
            "reference": message.reference,
            "call_back": self._call_back if self._settings.receipts else "",
        }
