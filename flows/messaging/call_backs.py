"""What providers tell by HTTP of messages that they took; each call-back counts once."""

import datetime as dt
from collections.abc import Iterable, Mapping

from flows.messaging.carrier_settings import HttpCarrierSettings, ReceiptSettings
from flows.messaging.message import Handed
from flows.messaging.receipts import DeliveryState, Receipts
from flows.messaging.signed import AGES, NotAuthentic, document_in, found_at, require_authentic
from store.expiring import Expiring

_LONGEST_ID = 128


class CallBacks:
    """The providers whose call-backs are taken."""

    def __init__(
        self, carriers: Iterable[HttpCarrierSettings], *, receipts: Receipts, expiring: Expiring
    ) -> None:
        """Take every provider of the settings; those without `receipts` are not known here."""
        self._of: Mapping[str, ReceiptSettings] = {
            carrier.name: carrier.receipts for carrier in carriers if carrier.receipts
        }
        self._receipts = receipts
        self._expiring = expiring

    def is_known(self, provider: str) -> bool:
        """Tell whether call-backs of a provider are taken."""
        return provider in self._of

    def take(self, provider: str, headers: Mapping[str, str], body: bytes, *, now: dt.datetime) -> bool:
        """Take one call-back.

        Args:
            provider: One that is known.
            headers: Of the request; names in any case.
            body: As it came.
            now: Aware UTC time.

        Returns:
            Whether it says how a message ended; what it says of anything else is passed over.

        Raises:
            NotAuthentic: Not by this provider, too old, or taken before.
        """
        settings = self._of[provider]
        said = {name.lower(): value for name, value in headers.items()}
        time = said.get(settings.time_header.lower(), "")
        given = said.get(settings.signature_header.lower(), "")
        signed = require_authentic(settings.secret, time, given, body, now=now)
        document = document_in(body)
        message, state = found_at(document, settings.id_path), _state(settings, document)
        if not message or len(message) > _LONGEST_ID or state is None:
            return False
        # Security: one signature counts once for as long as its time is believed.
        if not self._expiring.once("call-back", f"{provider} {signed}", ttl=2 * AGES):
            raise NotAuthentic
        self._receipts.came(Handed(provider, message), state)
        return True


def _state(settings: ReceiptSettings, document: object) -> DeliveryState | None:
    said = found_at(document, settings.state_path)
    if said in settings.delivered:
        return DeliveryState.DELIVERED
    return DeliveryState.FAILED if said in settings.failed else None
