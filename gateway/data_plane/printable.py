"""Values as they may stand in a configuration of nginx or Envoy."""

import re

PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./\[\]-]+")
"""What may stand in the configuration unquoted."""


class NotPrintableError(Exception):
    """A value cannot stand in a configuration; the message names it."""


def plain(value: object) -> str:
    """Return a value as it may stand unquoted; empty for None.

    Raises:
        NotPrintableError: It may not.
    """
    if value is None:
        return ""
    text = str(value)
    if not PLAIN.fullmatch(text):
        raise NotPrintableError(text)
    return text


def in_quotes(pattern: str) -> str:
    """Return a regular expression as it stands between double quotes."""
    return pattern.replace("\\", "\\\\").replace('"', '\\"')
