"""Whom helpers may help: looked up the same way whatever they are about to do."""

from flows.errors import HelpRefused, Unavailable
from flows.recovery.eligibility import Eligibility
from idp_plugin.base import Directory, Identity
from idp_plugin.errors import IdpError


def helpable(directory: Directory, eligibility: Eligibility, identifier: str) -> Identity:
    """Return the person of a name.

    Raises:
        HelpRefused: `unknown`, `disabled` or `privileged` (S18).
        Unavailable: The directory does not answer.
    """
    try:
        identity = directory.find(identifier)
    except IdpError as error:
        raise Unavailable from error
    if identity is None:
        raise HelpRefused("unknown")
    if not identity.enabled:
        raise HelpRefused("disabled")
    if eligibility.is_privileged(identity):
        raise HelpRefused("privileged")
    return identity
