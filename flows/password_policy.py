"""Our own rules for a new password, as findings; the directory has its own and says so when it writes."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from idp_plugin.base import Identity, WriterCapabilities
from idp_plugin.errors import RefusalReason

SHORTEST = 8
LONGEST = 256
_NAME_AT_LEAST = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of a candidate password."""

    rule: str
    """`length_min`, `length_max`, `not_name`, `characters`; or, from the directory: `directory_<reason>`."""
    holds: bool | None
    """None where it cannot be told before the directory is asked."""
    parameters: Mapping[str, int | str] = field(default_factory=dict)
    """For the sentence: `count` of the lengths, and of the directory's history where it tells."""


def check(candidate: str, *, names: Iterable[str], capabilities: WriterCapabilities) -> tuple[Finding, ...]:
    """Return every rule's finding, in the order in which pages show them.

    Args:
        candidate: As typed; never trimmed or normalised.
        names: What it may not be, see `names_of`.
        capabilities: Of the directory that will be written to.
    """
    shortest = max(SHORTEST, capabilities.minimum_length or 0)
    folded = _fold(candidate)
    findings = [
        Finding("length_min", len(candidate) >= shortest, {"count": shortest}),
        Finding("length_max", len(candidate) <= LONGEST, {"count": LONGEST}),
        Finding("not_name", bool(candidate) and not any(_is_name(folded, name) for name in names)),
        Finding("characters", not any(unicodedata.category(letter) == "Cc" for letter in candidate)),
    ]
    if capabilities.checks_history_on_reset:
        history = {"count": capabilities.history_length} if capabilities.history_length else {}
        findings.append(Finding("directory_in_history", None, history))
    return tuple(findings)


def broken(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return those that do not hold."""
    return tuple(finding for finding in findings if finding.holds is False)


def refusals(reasons: Iterable[RefusalReason]) -> tuple[Finding, ...]:
    """Return the directory's refusal as findings that do not hold."""
    return tuple(Finding(f"directory_{reason.value}", False) for reason in reasons)


def names_of(identity: Identity) -> tuple[str, ...]:
    """Return the names that a password may not be, folded: user name, mail names, parts of the name."""
    names = {_fold(identity.username), *(_fold(mail) for mail in identity.emails)}
    names |= {_fold(mail.partition("@")[0]) for mail in identity.emails}
    names |= {_fold(part) for part in re.split(r"[\s,.\-]+", identity.display_name)}
    names.add(_fold(identity.display_name))
    return tuple(sorted(name for name in names if name))


def _is_name(folded: str, name: str) -> bool:
    """Tell whether a password is a name, or a name with a few characters around it."""
    if folded == name:
        return True
    return len(name) >= _NAME_AT_LEAST and name in folded and len(folded) - len(name) < _NAME_AT_LEAST


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()
