"""The breaker: whether the infrastructure is down, as seen independently of any request (S10)."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from store.errors import StoreError

Probe = Callable[[], object]
_RETRY_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_log = logging.getLogger(__name__)


class Breaker:
    """Opens when a probe of its own fails, closes when one succeeds.

    Security: a request can make it look, never make it open; otherwise somebody could send what breaks one
    look-up and be released by the fault answer.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        *,
        faults: tuple[type[Exception], ...] = (StoreError, OSError),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what must answer, such as `Database.ping` and `Expiring.ping`.

        Args:
            faults: What a probe raises when its part is down; anything else is a mistake and goes on.
        """
        self._probes = tuple(probes)
        self._faults = faults
        self._clock = clock
        self._lock = threading.Lock()
        self._open = False
        self._probed_at = float("-inf")

    def is_open(self) -> bool:
        """Tell whether faults get their stated answer; every five seconds while open it looks again."""
        if self._open and self._clock() - self._probed_at >= _RETRY_SECONDS:
            self._look(_RETRY_SECONDS)
        return self._open

    def failed(self) -> bool:
        """Say that a request met a fault; probes, at most once a second, and tells whether it is open now."""
        self._look(_LOOK_SECONDS)
        return self._open

    def _look(self, pause: float) -> None:
        with self._lock:
            if self._clock() - self._probed_at < pause:
                return
            was_open, self._open = self._open, not self._answers()
            self._probed_at = self._clock()
        if was_open != self._open:
            _log.warning("the gate's breaker %s", "opened" if self._open else "closed")

    def _answers(self) -> bool:
        try:
            for probe in self._probes:
                probe()
        except self._faults:
            return False
        return True
