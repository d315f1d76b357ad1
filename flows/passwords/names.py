"""A person's names, which a password may not contain."""

import re
from collections.abc import Iterable

from flows.passwords.banned import normalise
from idp_plugin.base import Identity
from idp_plugin.password_rules import AccountNames

_ANYWHERE_FROM = 4
"""A shorter name is found in too many innocent words: it is refused only as the whole password."""


def account_names(identity: Identity) -> AccountNames:
    """Return the names that the directory knows of somebody."""
    return AccountNames(identity.username, identity.display_name, identity.emails)


def every_name(names: AccountNames) -> tuple[str, ...]:
    """Return all names and their parts as `banned.normalise` writes them, sorted.

    Of a mail address also what is before the `@`; its domain is the organisation's name, not the person's.
    """
    whole = [names.username, names.display_name, *names.others]
    local = [text.partition("@")[0] for text in whole]
    parts = [part for text in local for part in re.split(r"[\s,.\-_+']+", text)]
    return tuple(sorted({normalise(text) for text in (*whole, *local, *parts)} - {""}))


def has_name(candidate: str, names: Iterable[str]) -> bool:
    """Tell whether a password is a name or contains one, spelt like `p0ll` for Poll too.

    Args:
        candidate: As typed.
        names: As `every_name` returns them.
    """
    normal = normalise(candidate)
    return any(name == normal or (len(name) >= _ANYWHERE_FROM and name in normal) for name in names)
