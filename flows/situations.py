"""People as rules look at them."""

from enforcement.situation import Situation
from idp_plugin.base import Identity


def situation_of(identity: Identity) -> Situation:
    """Return somebody apart from any sign-in: only rules that are bound to none decide."""
    subject = identity.subject
    return Situation(source=subject.source, subject=subject.id, groups=identity.groups, roles=identity.roles)
