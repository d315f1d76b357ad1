"""What can go wrong when something is remembered.

::

    StoreError
      StoreUnavailable(what)    infrastructure: retry later
      StoreMisconfigured(what)  an operator must act
      Conflict                  it changed since it was read
      SealBroken                sealed under a key we do not have, for something else, or altered

Errors carry fields, never sentences and never secrets.
"""


class StoreError(Exception):
    """Root of this package's errors."""


class StoreUnavailable(StoreError):
    """`what` is `database` or `expiring`; whether a write took effect is unknown."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class StoreMisconfigured(StoreError):
    """An operator must act; `what` says about which setting, without its value."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Conflict(StoreError):
    """A compare-and-set lost: read again and decide again."""


class SealBroken(StoreError):
    """Sealed under a key that is not on the ring, bound to another place, or altered."""
