"""Authorization requests that browsers made, kept until their answers come (decision record 0007).

In memory at once, in Valkey within half a second: the sign-in page waits for neither. Look-ups ask memory
first; what another gateway remembered comes from Valkey.
"""

import asyncio
import datetime as dt
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

import structlog

from gateway.interception.authorization_request import AuthorizationRequest, read_request
from gateway.interception.saml_request import SamlRequest, is_saml, read_kept
from gateway.interception.sign_in_metrics import UNSAVED_REQUESTS
from idp_plugin.base import AuthorizationAnswer
from store.errors import StoreError
from store.expiring import Entry, Expiring

KIND = "requests"
KEPT_PER_BROWSER = 16
LIFETIME = dt.timedelta(minutes=30)
FLUSH_SECONDS = 0.5
"""Of many requests together: a flush for each costs as much as carrying it. People type for longer."""
MOST_BROWSERS = 20_000
MOST_BYTES = 64 << 20
"""Of all targets together."""
FLUSHED_PER_SECOND = 200
"""Anybody can make requests as a new browser; beyond this rate they stay in memory, so that a flood cannot
fill Valkey."""
FLUSHED_BYTES_PER_SECOND = 256_000
"""For half an hour they are 460 MB."""

log = structlog.get_logger("sparekey.interception")


class RememberedRequests:
    """What each browser asked the identity provider for. Shared by the event loop and the threads.

    Args:
        executor: Where the flush waits for Valkey.
    """

    def __init__(
        self,
        expiring: Expiring,
        executor: Executor,
        *,
        most_browsers: int = MOST_BROWSERS,
        most_bytes: int = MOST_BYTES,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._expiring = expiring
        self._executor = executor
        self._most = most_browsers
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._lock = threading.Lock()
        self._local: OrderedDict[str, tuple[tuple[str, float], ...]] = OrderedDict()
        """Targets by browser, newest first; the browser that was heard last comes last. They are read when an
        answer looks for its request: most never are, and garbage collection passes over bare strings."""
        self._bytes = 0
        self._unflushed: list[Entry] = []
        self._flushing: asyncio.Task[None] | None = None
        self._second = 0
        self._this_second = self._bytes_this_second = 0

    def remember(self, browser: str, target: str) -> None:
        """Keep a request that the identity provider accepted. Called on the event loop; does not wait.

        Args:
            target: Path and query of the equivalent GET, ASCII.
        """
        now = self._seconds()
        with self._lock:
            self._keep(browser, target, now)
        if not self._may_flush(int(now), len(target)):
            UNSAVED_REQUESTS.inc()
            return
        value = json.dumps({"target": target}).encode()
        self._unflushed.append(Entry(KIND, browser, value, KEPT_PER_BROWSER, LIFETIME))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.get_running_loop().create_task(self._flush())

    def matching(
        self, browser: str, redirect_uri: str, state: str, *, step_client: str = ""
    ) -> AuthorizationRequest | None:
        """Return the newest request that an answer with these belongs to.

        None also where two clients asked with the same ones: nobody can tell which is answered (S11).

        Args:
            step_client: The client that the answered step names for certain: its one hidden request may be
                meant, where no other fits.

        Raises:
            StoreUnavailable: Not in memory, and Valkey does not answer.
        """
        requests = self._in_memory(browser)
        found = _answered(requests, redirect_uri, state)
        if not found:
            # What came just now is in memory alone; what another gateway heard, in Valkey alone.
            requests += [_load(entry) for entry in self._expiring.entries(KIND, browser)]
            found = _answered(requests, redirect_uri, state) or _hidden(requests, step_client)
        return found[0] if len(found) == 1 else None

    def is_newest(self, browser: str, target: str) -> bool:
        """Tell whether a request is the last that a browser made.

        Raises:
            StoreUnavailable: Not in memory, and Valkey does not answer.
        """
        kept = self._kept_in_memory(browser) or list(map(_kept, self._expiring.entries(KIND, browser)))
        return kept[:1] == [target]

    def matching_saml(self, browser: str, answer: AuthorizationAnswer) -> SamlRequest | None:
        """Return the newest SAML request that an answer belongs to; None where two relying parties asked.

        Raises:
            StoreUnavailable: Not in memory, and Valkey does not answer.
        """
        kept = self._kept_in_memory(browser)
        found = _answered_saml(kept, answer)
        if not found:
            found = _answered_saml(map(_kept, self._expiring.entries(KIND, browser)), answer)
        return found[0] if len(found) == 1 else None

    async def close(self) -> None:
        """Wait until what is remembered is in Valkey."""
        if self._flushing is not None:
            await self._flushing

    def _keep(self, browser: str, target: str, now: float) -> None:
        """Put a request into memory, and let the oldest go where it is too old or there is too much."""
        oldest = now - LIFETIME.total_seconds()
        before = self._local.pop(browser, ())
        young = tuple(kept for kept in before if kept[1] > oldest)
        after = ((target, now), *young)[:KEPT_PER_BROWSER]
        self._local[browser] = after
        self._bytes += _size(after) - _size(before)
        while self._local:
            first = next(iter(self._local))
            is_young = self._local[first][0][1] > oldest
            if is_young and len(self._local) <= self._most and self._bytes <= self._most_bytes:
                break
            self._bytes -= _size(self._local.pop(first))

    def _in_memory(self, browser: str) -> list[AuthorizationRequest | None]:
        return [_read(kept) for kept in self._kept_in_memory(browser)]

    def _kept_in_memory(self, browser: str) -> list[str]:
        oldest = self._seconds() - LIFETIME.total_seconds()
        with self._lock:
            return [target for target, at in self._local.get(browser, ()) if at > oldest]

    def _may_flush(self, second: int, size: int) -> bool:
        if second != self._second:
            self._second, self._this_second, self._bytes_this_second = second, 0, 0
        self._this_second += 1
        self._bytes_this_second += size
        return self._this_second <= FLUSHED_PER_SECOND and self._bytes_this_second <= FLUSHED_BYTES_PER_SECOND

    async def _flush(self) -> None:
        while self._unflushed:
            await asyncio.sleep(FLUSH_SECONDS)
            batch, self._unflushed = self._unflushed, []
            try:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._executor, self._expiring.append_many, batch)
            except StoreError as error:
                UNSAVED_REQUESTS.inc(len(batch))
                log.warning("requests_not_saved", count=len(batch), error=type(error).__name__)


def _size(kept: Iterable[tuple[str, float]]) -> int:
    return sum([len(target) for target, _ in kept])


def _answered(
    requests: Iterable[AuthorizationRequest | None], redirect_uri: str, state: str
) -> list[AuthorizationRequest]:
    """Return the newest fitting request of each client."""
    newest: dict[str, AuthorizationRequest] = {}
    for request in requests:
        if request and request.is_answered_by(redirect_uri, state):
            newest.setdefault(request.client_id, request)
    return list(newest.values())


def _hidden(requests: Iterable[AuthorizationRequest | None], client_id: str) -> list[AuthorizationRequest]:
    """Return a client's requests of which only the provider knows what they ask, each once."""
    hidden = {
        request.target: request
        for request in requests
        if request and request.is_hidden and request.client_id == client_id
    }
    return list(hidden.values())


def _answered_saml(kept: Iterable[str], answer: AuthorizationAnswer) -> list[SamlRequest]:
    """Return the newest fitting request of each relying party; unasked sign-ins differ by their address."""
    newest: dict[str, SamlRequest] = {}
    for each in kept:
        request = read_kept(each)
        if request and request.is_answered_by(answer):
            newest.setdefault(request.client_id or request.target, request)
    return list(newest.values())


def _load(value: bytes) -> AuthorizationRequest | None:
    return _read(_kept(value))


def _read(kept: str) -> AuthorizationRequest | None:
    # Security: what began by SAML is never read as anything else, whatever its query says.
    return None if is_saml(kept) else read_request(kept.encode("ascii"))


def _kept(value: bytes) -> str:
    target: str = json.loads(value)["target"]
    return target
