"""Ends sign-ins that come round and round: released, replayed, held again (interception.md, decision 5).

What is held waits for a person, so only a release can close a loop: releases are what is counted. The back
button and a third tab make holds, too, and no loop (decision record 0010).
"""

import datetime as dt

from idp_plugin.base import SignIn
from store.counters import Counters, Limit

MOST_RELEASES = 2
MOST_HOLDS = 30
"""Far more than tabs and back buttons make; a script must not fill the store."""
WINDOW = dt.timedelta(minutes=5)


class LoopGuard:
    """Counts per IdP session and relying party."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def released(self, sign_in: SignIn, application: str) -> None:
        """Count one release.

        Raises:
            StoreUnavailable: Nothing was counted.
        """
        self._counters.hit([Limit(_key("released", sign_in, application), MOST_RELEASES, WINDOW)])

    def may_hold(self, sign_in: SignIn, application: str) -> bool:
        """Count one hold; False where two releases within five minutes were followed by this one.

        Args:
            application: The relying party, where its client is unknown.

        Raises:
            StoreUnavailable: Nothing was counted.
        """
        if self._counters.count(_key("released", sign_in, application), WINDOW) >= MOST_RELEASES:
            return False
        return self._counters.hit([Limit(_key("held", sign_in, application), MOST_HOLDS, WINDOW)]).allowed


def _key(what: str, sign_in: SignIn, application: str) -> str:
    subject = sign_in.subject
    return ":".join((what, subject.source, subject.id, sign_in.session_id, sign_in.client_id or application))
