"""Text messages by SMPP: one connection, kept while messages go and receipts come."""

import contextlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from smpplib import consts

from flows.errors import MessageNotSent
from flows.messaging.carrier_settings import SmppSettings
from flows.messaging.message import Handed, Message
from flows.messaging.receipts import DeliveryState
from flows.messaging.smpp_link import BindRefused, LinkBroken, SmppLink
from flows.messaging.sms_text import encode
from store.errors import StoreError

PROVIDER = "smpp"
OnReceipt = Callable[[Handed, DeliveryState], None]
_LOOKS_EVERY = 0.25
"""Seconds between two looks for receipts."""
_PAUSE = 30.0
"""Seconds without another try after the centre refused us: it may lock the account."""
_NEVER = frozenset(
    {
        consts.SMPP_ESME_RINVMSGLEN,
        consts.SMPP_ESME_RINVDSTADR,
        consts.SMPP_ESME_RINVDSTTON,
        consts.SMPP_ESME_RINVDSTNPI,
    }
)
"""Answers that no later try changes; throttling, a full queue and faults of the centre are not among them."""
_IS_RECEIPT = 0x04
_STATES = {
    b"DELIVRD": DeliveryState.DELIVERED,
    b"UNDELIV": DeliveryState.FAILED,
    b"REJECTD": DeliveryState.FAILED,
    b"EXPIRED": DeliveryState.FAILED,
    b"DELETED": DeliveryState.FAILED,
}
# Source: SMPP 3.4, appendix B: the text that centres agreed on.
_RECEIPT = re.compile(rb"id:(\S+).*\bstat:([A-Z]+)", re.DOTALL | re.IGNORECASE)
_log = structlog.get_logger(__name__)


class Smpp:
    """A channel; a thread of its own takes receipts and keeps the connection."""

    def __init__(self, settings: SmppSettings, on_receipt: OnReceipt) -> None:
        """Take the settings, and whom to tell of receipts; nothing is opened before the first message."""
        self._settings = settings
        self._on_receipt = on_receipt
        self._link: SmppLink | None = None
        self._not_before = 0.0
        self._busy = threading.Lock()
        self._stopped = threading.Event()
        self._keeper: threading.Thread | None = None

    def send(self, message: Message) -> Handed | None:
        """Hand one message to the centre.

        Raises:
            MessageNotSent: `permanent` where the number can never be reached.
        """
        with self._busy:
            self._keep()
            try:
                link = self._bound()
                return Handed(PROVIDER, self._submit(link, message))
            except LinkBroken as error:
                self._drop()
                raise MessageNotSent from error
            except BindRefused as error:
                self._not_before = time.monotonic() + _PAUSE
                _log.error("smpp_bind_refused", status=error.status)
                raise MessageNotSent from error

    def close(self) -> None:
        """End the connection."""
        self._stopped.set()
        with self._busy:
            self._drop()

    def _bound(self) -> SmppLink:
        # A centre that hung up since the last look is no reason to let somebody wait.
        self._look_once()
        if self._link is None:
            if time.monotonic() < self._not_before:
                raise LinkBroken
            self._link = SmppLink.opened(self._settings)
        return self._link

    def _submit(self, link: SmppLink, message: Message) -> str:
        text = encode(message.text, wide=self._settings.alphabet == "ucs2")
        handed = ""
        for number, part in enumerate(text.parts, start=1):
            is_last = number == len(text.parts)
            asked = link.submit(
                **self._addresses(message.to),
                short_message=part,
                data_coding=consts.SMPP_ENCODING_DEFAULT if text.is_gsm else consts.SMPP_ENCODING_ISO10646,
                esm_class=consts.SMPP_GSMFEAT_UDHI if len(text.parts) > 1 else 0,
                # One receipt for the whole: networks send parts one after the other.
                registered_delivery=consts.SMPP_SMSC_DELIVERY_RECEIPT_BOTH if is_last else 0,
                validity_period=_in_minutes(self._settings.valid_minutes),
            )
            handed = self._answered(link, asked)
        return handed

    def _addresses(self, to: str) -> dict[str, Any]:
        sender = self._settings.sender
        ton, npi = _type_of(sender)
        return {
            "source_addr_ton": ton,
            "source_addr_npi": npi,
            "source_addr": sender.removeprefix("+"),
            "dest_addr_ton": consts.SMPP_TON_INTL,
            "dest_addr_npi": consts.SMPP_NPI_ISDN,
            "destination_addr": to.removeprefix("+"),
        }

    def _answered(self, link: SmppLink, asked: int) -> str:
        """Return the centre's id for a message, and do what else it asks meanwhile."""
        until = time.monotonic() + self._settings.seconds
        while time.monotonic() < until:
            unit = link.receive()
            if unit.sequence != asked or unit.command not in {"submit_sm_resp", "generic_nack"}:
                self._react(link, unit)
            elif unit.is_error() or unit.command == "generic_nack":
                _log.warning("smpp_message_refused", status=int(unit.status))
                raise MessageNotSent(unreachable=int(unit.status) in _NEVER)
            else:
                return _text(unit.message_id)
        raise LinkBroken

    def _react(self, link: SmppLink, unit: Any) -> None:
        match unit.command:
            case "deliver_sm":
                self._take(link, unit)
            case "enquire_link":
                link.answer("enquire_link_resp", unit.sequence)
            case "unbind":
                link.answer("unbind_resp", unit.sequence)
                raise LinkBroken
            case _:
                # Answers to what nobody waits for any more.
                return

    def _take(self, link: SmppLink, unit: Any) -> None:
        try:
            self._tell(unit)
        except StoreError as error:
            # The centre brings it again.
            _log.warning("smpp_receipt_waits", cause=type(error).__name__)
            link.answer("deliver_sm_resp", unit.sequence, status=consts.SMPP_ESME_RX_T_APPN)
        else:
            link.answer("deliver_sm_resp", unit.sequence)

    def _tell(self, unit: Any) -> None:
        # Security: what people write back is neither read nor kept.
        if not int(unit.esm_class or 0) & _IS_RECEIPT:
            return
        found = _RECEIPT.search(unit.short_message or b"")
        state = _STATES.get(found[2].upper()) if found else None
        if found and state:
            named = getattr(unit, "receipted_message_id", None)
            self._on_receipt(Handed(PROVIDER, _text(named or found[1])), state)

    def _keep(self) -> None:
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._look, name="smpp", daemon=True)
            self._keeper.start()

    def _look(self) -> None:
        while not self._stopped.wait(_LOOKS_EVERY):
            with self._busy:
                self._look_once()

    def _look_once(self) -> None:
        try:
            self._take_news()
        except LinkBroken:
            _log.info("smpp_link_ended")
            self._drop()

    def _take_news(self) -> None:
        link = self._link
        if link is None:
            return
        while link.has_news():
            self._react(link, link.receive())
        silence = time.monotonic() - link.heard_at
        if silence > self._settings.enquire_seconds + self._settings.seconds:
            raise LinkBroken
        if silence > self._settings.enquire_seconds and not link.is_asked:
            link.enquire()

    def _drop(self) -> None:
        if self._link:
            with contextlib.suppress(OSError):
                self._link.close()
        self._link = None


def _type_of(sender: str) -> tuple[int, int]:
    """Return type and plan of a sender: a name, an international number, or the network's own."""
    if any(letter.isalpha() for letter in sender):
        return consts.SMPP_TON_ALNUM, consts.SMPP_NPI_UNK
    if sender.startswith("+"):
        return consts.SMPP_TON_INTL, consts.SMPP_NPI_ISDN
    return consts.SMPP_TON_UNK, consts.SMPP_NPI_UNK


def _in_minutes(minutes: int) -> str:
    """Return a relative time. Source: SMPP 3.4 section 7.1.1: YYMMDDhhmmsstnn, then R."""
    return f"000000{minutes // 60 % 24:02}{minutes % 60:02}00000R" if minutes < 1440 else "000001000000000R"


def _text(value: bytes | str | None) -> str:
    """Return an id as text; centres fill it with zero bytes."""
    raw = value.encode() if isinstance(value, str) else value or b""
    return raw.rstrip(b"\0").decode("ascii", "replace")
