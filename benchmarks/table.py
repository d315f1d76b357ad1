"""One row's result, as the page and the terminal show it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that was promised."""

    promise: str
    """In words."""
    found: str
    """The figure."""
    is_met: bool
    """Whether it holds."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one row found out."""

    title: str
    """A heading."""
    method: str
    """How it was measured: one paragraph."""
    columns: Sequence[str]
    """The table's head."""
    rows: Sequence[Sequence[str]]
    """The table."""
    targets: Sequence[Target]
    """What was promised."""

    def markdown(self) -> str:
        """Return the section."""
        lines = [f"## {self.title}", "", self.method, ""]
        lines += [_line(self.columns), _line(["---", *["--:"] * (len(self.columns) - 1)])]
        lines += [_line(row) for row in self.rows]
        lines += ["", "| promised | found | |", "| --- | --: | --- |"]
        lines += [_line([t.promise, t.found, "met" if t.is_met else "**missed**"]) for t in self.targets]
        return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
