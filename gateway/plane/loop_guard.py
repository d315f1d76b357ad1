"""Ends sign-ins that come round and round: released, replayed, held again (interception.md, decision 5)."""

import datetime as dt

from store.counters import Counters, Limit

MOST_HOLDS = 2
WINDOW = dt.timedelta(minutes=5)


class LoopGuard:
    """Counts holds per browser and relying party."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def may_hold(self, browser: str, client_id: str) -> bool:
        """Count one hold; False for the third within five minutes.

        Raises:
            StoreUnavailable: Nothing was counted.
        """
        limit = Limit(f"hold:{browser}:{client_id}", MOST_HOLDS, WINDOW)
        return self._counters.hit([limit]).allowed
