"""One sign-in as rules look at it."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Who signs in to what, how, from where and when; or, with less said, somebody apart from any sign-in.

    Security: whatever is unknown stays unknown here. `Policy.possible_rules` then counts every rule that may
    be meant, so that hiding a fact never helps anybody (S10).
    """

    source: str = ""
    """Where the subject was issued; empty with the subject."""
    subject: str = ""
    """The immutable id there; empty where nobody in particular is meant."""
    groups: frozenset[str] | None = None
    """None where they were not learnt; so with roles."""
    roles: frozenset[str] | None = None
    client_id: str = ""
    """The relying party: OIDC client id, SAML entity id or host; empty where unknown."""
    protocol: str = ""
    """A `SignInProtocol`; empty where unknown."""
    address: str = ""
    """Where the browser is, in text; empty where unknown."""
    at: dt.datetime | None = None
    """Aware; None apart from any sign-in, where no moment is better than another."""

    @property
    def moment(self) -> dt.datetime:
        """When the sign-in is.

        Raises:
            ValueError: This is no sign-in.
        """
        if self.at is None:
            raise ValueError("a decision needs the moment of its sign-in")
        return self.at
