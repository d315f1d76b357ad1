"""A request sent again as it came: by address, or by a form where it was posted."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl


@dataclass(frozen=True, slots=True)
class Replay:
    """Send the browser to this address: the IdP answers anew and silently."""

    location: str = field(repr=False)
    set_cookie: str = field(default="", repr=False)
    """Value of a `Set-Cookie` field that the IdP needs for it; empty for none."""


@dataclass(frozen=True, slots=True)
class Repost:
    """Let the browser post this form: the IdP answers anew and silently."""

    action: str
    """Absolute."""
    fields: tuple[tuple[str, str], ...] = field(repr=False)
    """Names and values, in order."""
    application: str
    """Where the answer leads, see `HeldSignIn`."""


def again(public: str, kept: str, *, application: str) -> Replay | Repost:
    """Return how a request is repeated.

    Args:
        public: The origin, which every kept request begins at.
        kept: Path and query; after a line feed the form, where it was posted.
    """
    target, _, form = kept.partition("\n")
    if not form:
        return Replay(public + target)
    return Repost(public + target, tuple(parse_qsl(form, keep_blank_values=True)), application)
