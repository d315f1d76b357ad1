"""The channel where only HTTPS is allowed: an agent's long polls to the gateway.

Every call is signed by the agent's key and good once; there are no cookies and no passwords. Behind the
gateway's endpoint are the same streams, so agents of both kinds may share a directory's orders.
"""

import contextlib
import datetime as dt
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from idp_plugin.writeback.channel import ChannelDown, Delivery, NotAccepted
from idp_plugin.writeback.identity import AgentIdentity
from idp_plugin.writeback.keys import sign

PATH = "/agent/call"
LONGEST_POLL = dt.timedelta(seconds=20)
_ANSWER_SECONDS = 10.0
_KEPT_SECONDS = 60.0
"""How long an unused connection stays open here: orders are further apart than the library expects."""
_REFUSED = frozenset({400, 401, 403})


class HttpsAgentEnd:
    """An `AgentEnd` over HTTPS."""

    def __init__(
        self,
        url: str,
        identity: Callable[[], AgentIdentity],
        *,
        clock: Callable[[], dt.datetime],
        ca: Path | None = None,
    ) -> None:
        """Take the parts; nothing is sent yet.

        Args:
            url: The gateway's public origin with its prefix.
            identity: Returns the keys in use.
            ca: CA file; the system's authorities without it.
        """
        self._url = url.rstrip("/")
        self._identity = identity
        self._clock = clock
        self._client = open_client(url, ca)
        self._polling = threading.Lock()

    def receive(self, wait: dt.timedelta) -> Delivery | None:
        """Poll; of several threads one at a time, so that an agent holds one connection open."""
        seconds = min(wait, LONGEST_POLL).total_seconds()
        begun = time.monotonic()
        if not self._polling.acquire(timeout=max(seconds, 0)):
            return None
        try:
            left = max(seconds - (time.monotonic() - begun), 0)
            found = self._call("receive", wait=left, seconds=left + _ANSWER_SECONDS)
        finally:
            self._polling.release()
        delivery = found.get("delivery")
        if delivery is None:
            # Where the gateway has no place for one more poll it answers at once.
            time.sleep(min(max(left - (time.monotonic() - begun), 0), float(found.get("pause", 0))))
            return None
        return Delivery(str(delivery["id"]), str(delivery["body"]).encode(), str(delivery["run"]))

    def claim(self, delivery: Delivery, order_id: str) -> bool:
        """Begin an order unless somebody did."""
        answer = self._call("claim", delivery=delivery.id, run=delivery.run, order=order_id)
        return bool(answer.get("claimed"))

    def answer(self, delivery: Delivery, order_id: str, body: bytes) -> None:
        """Send the answer."""
        self._call("answer", delivery=delivery.id, order=order_id, body=body.decode())

    def drop(self, delivery: Delivery) -> None:
        """Remove an order without an answer."""
        self._call("drop", delivery=delivery.id)

    def beat(self, body: bytes) -> None:
        """Send a heartbeat."""
        self._call("beat", body=body.decode())

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _call(self, call: str, *, seconds: float = _ANSWER_SECONDS, **facts: str | float) -> dict[str, Any]:
        identity = self._identity()
        claims = {
            "agent": identity.id,
            "call": call,
            "at": round(self._clock().timestamp() * 1000),
            "nonce": secrets.token_urlsafe(16),
            **facts,
        }
        body = {"call": sign("call", claims, identity.signing), "introductions": identity.introductions}
        return post(self._client, f"{self._url}{PATH}", body, seconds=seconds)


def open_client(url: str, ca: Path | None) -> httpx.Client:
    """Return an HTTP client that believes this authority alone, or the system's."""
    context = ssl.create_default_context(cafile=ca) if url.startswith("https:") else False
    limits = httpx.Limits(keepalive_expiry=_KEPT_SECONDS)
    return httpx.Client(verify=context, trust_env=False, follow_redirects=False, limits=limits)


def post(client: httpx.Client, address: str, body: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """Send one call and return what was answered.

    Raises:
        NotAccepted: The gateway does not know this agent, or not with these words.
        ChannelDown: No answer, or none that can be understood.
    """
    try:
        response = client.post(address, json=body, timeout=seconds)
        found = response.json() if response.content else {}
    except (httpx.HTTPError, ValueError) as error:
        raise ChannelDown from error
    if response.status_code in _REFUSED:
        why = "refused"
        with contextlib.suppress(AttributeError):
            why = str(found.get("why", why))
        raise NotAccepted(why)
    if response.status_code != 200 or not isinstance(found, dict):
        raise ChannelDown
    return found
