"""Where a person may be sent back to: this origin's sign-in, or a registered relying party."""

import re
from collections.abc import Collection

LONGEST = 4096
# Printable ASCII without space, quotes, angle brackets and backslash: what a well-formed URL is made of.
_WELL_FORMED = re.compile(r"[!#-;=?-\[\]-_a-z~%]+")
# A path whose meaning does not depend on who normalises it: no empty or dot segments, encoded or not, no
# encoded separators.
_AMBIGUOUS = re.compile(r"//|/(?:\.|%2e){1,2}(?:/|$)|%2f|%5c|%00|;", re.IGNORECASE)


def safe_return_to(value: str, *, public: str, prefix: str, origins: Collection[str]) -> str | None:
    """Return the absolute address to go back to, or None where the value is not to be followed.

    Args:
        value: As it came in the address: a path on this origin, or an absolute URL.
        public: This origin, without a slash at the end.
        prefix: The path of Sparekey's own pages; going "back" into them is refused.
        origins: Origins of registered relying parties.

    Compared as text against each allowed origin, never by parsing: two parsers can read one URL in two
    ways, but a text that begins with `https://app.example.org/` leads nowhere else.

    Source: WHATWG URL Standard, section 4.4 (what browsers do to slashes, backslashes and controls).
    """
    if len(value) > LONGEST or not _WELL_FORMED.fullmatch(value):
        return None
    for origin in (public, *origins):
        base = origin.rstrip("/")
        rest = value.removeprefix(base) if value.startswith((f"{base}/", f"{base}?")) else None
        if value == base or (rest is not None and (base != public or _is_foreign_path(rest, prefix))):
            return value
    return f"{public}{value}" if value.startswith("/") and _is_foreign_path(value, prefix) else None


def _is_foreign_path(value: str, prefix: str) -> bool:
    """Tell whether a path, perhaps with a query, belongs to the identity provider and not to us."""
    path = re.split(r"[?#]", value, maxsplit=1)[0]
    if _AMBIGUOUS.search(path):
        return False
    plain = re.sub(r"%([0-9a-fA-F]{2})", lambda found: chr(int(found[1], 16)), path).lower()
    return plain != prefix.lower() and not plain.startswith(f"{prefix.lower()}/")
