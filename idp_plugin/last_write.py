"""What one server of a directory knows of the newest password write."""

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LastWrite:
    """When a password was last written, as one server has heard of it."""

    at: dt.datetime
    """By the directory's clock; the latest that it can have been, where that is all there is."""
    server: str
    """Whoever tries a password because of this must try it there: another server may not know of it, and
    would count it as a wrong one (S19)."""
