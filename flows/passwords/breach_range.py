"""A range service on the network: it is told five digits of a digest and answers with all that begin so.

Source: the Pwned Passwords API, "Searching by range" and "Introducing padding".
"""

import time
from collections.abc import Iterator

import httpx
import structlog

from flows.passwords.breaches import PREFIX, BreachesUnavailable, digest_of, is_in_range

_LARGEST_ANSWER = 1 << 20
"""Bytes; a padded range has about 40,000."""
_PAUSE = 30.0
"""Seconds without a question after a fault: a slow service may not hold the pages' threads one by one."""
_log = structlog.get_logger(__name__)


class RangeService:
    """Asks `GET /range/<5 digits>`, with padding, so that the size of the answer tells nothing either."""

    def __init__(self, address: str, *, seconds: float, at_least: int = 1, proxy: str = "") -> None:
        """Take where it is.

        Args:
            address: Origin, without a slash at the end.
            seconds: For the whole answer.
            at_least: How often a password must have been seen.
            proxy: Empty for none.
        """
        self._address = address
        self._seconds = seconds
        self._at_least = at_least
        self._silent_until = 0.0
        self._client = httpx.Client(
            timeout=seconds,
            trust_env=False,
            proxy=proxy or None,
            headers={"User-Agent": "sparekey", "Add-Padding": "true", "Accept": "text/plain"},
        )

    def have(self, candidate: str) -> bool:
        """Ask the service; see `Breaches.have`."""
        digest = digest_of(candidate)
        if time.monotonic() < self._silent_until:
            raise BreachesUnavailable("pausing")
        try:
            lines = self._range(digest[:PREFIX]).decode("ascii", "replace").splitlines()
            return is_in_range(lines, digest[PREFIX:], at_least=self._at_least)
        except BreachesUnavailable as error:
            self._silent_until = time.monotonic() + _PAUSE
            # Security: neither the address nor the error's own words, which quote it, are told.
            _log.warning("breach_service_unavailable", why=error.why)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _range(self, prefix: str) -> bytes:
        try:
            with self._client.stream("GET", f"{self._address}/range/{prefix}") as answer:
                if answer.status_code != 200:
                    raise BreachesUnavailable(f"status {answer.status_code}")
                return b"".join(self._bounded(answer))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise BreachesUnavailable(type(error).__name__) from None

    def _bounded(self, answer: httpx.Response) -> Iterator[bytes]:
        deadline, size = time.monotonic() + self._seconds, 0
        for chunk in answer.iter_bytes():
            size += len(chunk)
            if size > _LARGEST_ANSWER:
                raise BreachesUnavailable("too large")
            if time.monotonic() > deadline:
                raise BreachesUnavailable("too slow")
            yield chunk
