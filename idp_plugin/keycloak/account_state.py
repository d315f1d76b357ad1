"""What Keycloak's own store says of a password: whether it must be changed, and when it was written."""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from idp_plugin.base import PasswordState

UPDATE_PASSWORD = "UPDATE_PASSWORD"  # noqa: S105 - the name of a required action


def password_written_at(credentials: Iterable[Mapping[str, Any]] | None) -> int:
    """Return milliseconds since 1970 by Keycloak's clock; 0 where it keeps no password."""
    own = (
        each
        for each in credentials or ()
        if each.get("type") == "password" and not each.get("federationLink")
    )
    return max((int(each.get("createdDate") or 0) for each in own), default=0)


def password_state(
    user: Mapping[str, Any], written_at: int, maximum_age: dt.timedelta | None, now: dt.datetime
) -> PasswordState:
    """Return what the next sign-in would find.

    Args:
        user: As the admin API writes it.
        written_at: As `password_written_at`; not looked at without a maximum age.
        maximum_age: Of the realm.
        now: Aware UTC.
    """
    if UPDATE_PASSWORD in user.get("requiredActions", ()):
        return PasswordState.MUST_CHANGE
    if maximum_age is None:
        return PasswordState.USABLE
    written = dt.datetime.fromtimestamp(written_at / 1000, dt.UTC)
    return PasswordState.EXPIRED if written + maximum_age <= now else PasswordState.USABLE
