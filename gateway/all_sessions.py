"""Every session of a person: ours first, then the identity provider's."""

from gateway.portal_session import PortalSessions
from gateway.services import Clock
from idp_plugin.base import IdpSessions, Subject


class AllSessions:
    """Sessions for the journeys, which know of the identity provider's alone."""

    def __init__(self, portal: PortalSessions, provider: IdpSessions, clock: Clock) -> None:
        self._portal = portal
        self._provider = provider
        self._clock = clock

    def end_all(self, subject: Subject) -> int | None:
        """End every session; one failing part keeps nobody from asking the other.

        Returns:
            How many remain at the identity provider; None where it offers no way to end them.
        """
        try:
            # Security: whoever signed in to our pages with the old password would go on changing things.
            self._portal.end_at_provider(subject, subject.source, "", now=self._clock())
        finally:
            left = self._provider.end_all(subject)
        return left
