"""What can go wrong when an identity provider or a directory is asked.

::

    IdpError
      IdpUnavailable        retry later
        OutcomeUnknown      a write was sent and its answer was lost
      IdpRefused            an expected no
        PasswordRefused     the directory's own password policy said no
        NotPermitted        our account may not, or the person may not
        WrongPassword       the old password did not match
      IdpMisconfigured      an operator must act

Errors carry fields, never sentences and never secrets. Nothing of ldap3 or python-keycloak escapes.
"""

import enum


class RefusalReason(enum.StrEnum):
    """Why a directory refused a new password, from its result codes, never from its text."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    TOO_SIMPLE = "too_simple"
    IN_HISTORY = "in_history"
    TOO_YOUNG = "too_young"
    CHANGE_NOT_ALLOWED = "change_not_allowed"
    OTHER = "other"


class IdpError(Exception):
    """Root of this package's errors."""


class IdpUnavailable(IdpError):
    """The server could not be reached or did not answer in time; nothing was changed."""

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self.server = server


class OutcomeUnknown(IdpUnavailable):
    """A write was sent and the answer was lost: it may or may not have been applied."""


class IdpRefused(IdpError):
    """An expected no."""


class PasswordRefused(IdpRefused):
    """The directory's password policy refused the new password; `reasons` is never empty."""

    def __init__(self, reasons: tuple[RefusalReason, ...]) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


class NotPermitted(IdpRefused):
    """Our service account lacks the right, or the person is privileged (S18)."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class WrongPassword(IdpRefused):
    """The old password did not match, or the account is locked: the directory does not say which."""


class IdpMisconfigured(IdpError):
    """An operator must act: wrong bind password, missing base, unverifiable certificate, wrong client."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
