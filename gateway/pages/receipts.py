"""Where providers of text messages and calls tell how a message ended. No browser comes here."""

import structlog
from flask import Blueprint, Response, request

from flows.messaging.signed import NotAuthentic
from gateway.messages import CALL_BACKS
from gateway.services import services

pages = Blueprint("receipts", __name__)
_LARGEST = 16 << 10
_log = structlog.get_logger("sparekey.receipts")


@pages.post(f"{CALL_BACKS}<provider>")
def take(provider: str) -> Response:
    """Take one call-back."""
    call_backs = services().call_backs
    if not call_backs.is_known(provider):
        return _say(404)
    request.max_content_length = _LARGEST
    try:
        body = request.get_data()
        call_backs.take(provider, dict(request.headers), body, now=services().clock())
    except NotAuthentic:
        _log.warning("call_back_refused", provider=provider)
        return _say(403)
    return _say(200)


def _say(status: int) -> Response:
    """Answer a program, not a person."""
    return Response(status=status, content_type="text/plain; charset=utf-8")
