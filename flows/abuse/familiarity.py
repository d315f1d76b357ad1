"""Whose word a message leaves on, and how much of what all messages may cost that word can use up (S5).

Whoever types numbers and names by the thousand uses up a part, and leaves the rest to people who have more
to show. The parts lie in each other: what strangers leave is there for everybody else.
"""

import enum
from collections.abc import Iterator


class Familiarity(enum.StrEnum):
    """How well the one who asked is known."""

    KNOWN = "known"
    """A known device, the helpdesk, or ourselves: nobody can have it sent by typing."""
    REGISTERED = "registered"
    """Anybody, to what the person has registered: a name and the number have to be known for each message."""
    TYPED = "typed"
    """Anybody: to whatever they typed once signed in, or by typing nothing but a number."""


_BOUND_BY = {
    Familiarity.KNOWN: (),
    Familiarity.REGISTERED: (Familiarity.REGISTERED,),
    Familiarity.TYPED: (Familiarity.REGISTERED, Familiarity.TYPED),
}
"""The parts that each counts in, besides the whole."""
_PARTS_KEPT = {Familiarity.REGISTERED: 1, Familiarity.TYPED: 2}


def shares(
    familiarity: Familiarity, key: str, amount: int, most: int, kept_percent: int
) -> Iterator[tuple[str, int]]:
    """Return every limit that a message counts in, with its most: the whole first.

    Args:
        familiarity: Of whoever asked.
        key: Of the whole.
        amount: What the message takes; every part has room for one, so that none is shut altogether.
        most: Of the whole.
        kept_percent: How much of the whole is kept from each lower step.
    """
    yield key, most
    for part in _BOUND_BY[familiarity]:
        kept = most * kept_percent * _PARTS_KEPT[part] // 100
        yield f"{key}:{part}", max(most - kept, min(most, amount))
