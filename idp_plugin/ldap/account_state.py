"""What an entry says of an account, in the words that every dialect has in common."""

import datetime as dt
from dataclasses import dataclass

from idp_plugin.base import PasswordState


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """How an account stands now; the fields of `Identity` with the same names."""

    locked: bool
    password_state: PasswordState
    may_change_password: bool
    may_change_password_after: dt.datetime | None
    roles: frozenset[str] = frozenset()
