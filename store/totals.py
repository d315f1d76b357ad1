"""Totals: numbers that only grow, of all gateways and workers together."""

from collections.abc import Mapping
from typing import cast

from store.expiring import Expiring, unavailable

_ID = "totals"


class Totals:
    """Counts what happens in one process and is read in another; lost with the server's data."""

    def __init__(self, expiring: Expiring) -> None:
        self._client = expiring.client
        self._name = expiring.name

    def add(self, what: str, *labels: str) -> None:
        """Count once.

        Args:
            what: A name of the total.
            labels: What kind it was; words of ours, because they are stored as they are.

        Raises:
            StoreUnavailable: Not counted, as far as we know.
        """
        with unavailable():
            self._client.hincrby(self._name(what, _ID), " ".join(labels), 1)

    def read(self, what: str) -> Mapping[tuple[str, ...], int]:
        """Return how often each combination of labels was counted.

        Raises:
            StoreUnavailable: It cannot be told.
        """
        with unavailable():
            found = cast(dict[bytes, bytes], self._client.hgetall(self._name(what, _ID)))
        return {tuple(labels.decode().split(" ")): int(count) for labels, count in found.items()}
