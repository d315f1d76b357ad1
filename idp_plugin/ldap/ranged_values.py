"""Attributes with more values than a server gives in one answer, read to the end.

Source: [MS-ADTS] section 3.1.1.3.1.3.3 (range retrieval).
"""

import re

from idp_plugin.ldap.connection import Entry, Session

MOST_VALUES = 100_000


class TooManyValues(Exception):
    """There was no end within `MOST_VALUES`, or the server gave the same part again."""


def all_values(session: Session, dn: str, attribute: str, *, step: int = 0) -> tuple[bytes, ...]:
    """Return every value; empty where there is none, or none that our account may read.

    Args:
        session: Bound.
        dn: Of the entry.
        attribute: Without options.
        step: So many at a time; 0 for as many as the server likes.

    Raises:
        TooManyValues: See above.
    """
    values: list[bytes] = []
    while True:
        found = session.search(dn, "(objectClass=*)", [_asked(attribute, len(values), step)], below=False)
        part, is_last = _part(found[0], attribute) if found else ((), True)
        values.extend(part)
        if is_last:
            return tuple(values)
        if not part or len(values) > MOST_VALUES:
            raise TooManyValues


def _asked(attribute: str, start: int, step: int) -> str:
    if not start and not step:
        return attribute
    return f"{attribute};range={start}-{start + step - 1 if step else '*'}"


def _part(entry: Entry, attribute: str) -> tuple[tuple[bytes, ...], bool]:
    """Return the values of one answer, and whether they are the last."""
    option = re.compile(rf"{re.escape(attribute.lower())};range=\d+-(\d+|\*)")
    for name, values in entry.attributes.items():
        found = option.fullmatch(name)
        if found:
            return values, found[1] == "*"
    return entry.attributes.get(attribute.lower(), ()), True
