"""`docs/benchmarks.md`: a section for each row, replaced when that row was measured again."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

INTRODUCTION = """\
# Benchmarks

<!-- Written by `make bench`. -->

What Sparekey costs, as ratios: absolute figures are those of one machine. The system under test runs on one
core; the load and whatever stands behind it on the other. The measure is **CPU time per request of the whole
process tree** (for Sparekey with its Valkey), which hardly moves when a machine is noisy. Every comparison is
one interleaved run, medians over its rounds. Sparekey runs as shipped, `sparekey serve` with one set of
settings for every row, and a round counts only if its log lines and its metrics agree with each other and
with the requests sent. Each section says when it was measured; `python -m benchmarks ROW` measures one again.

"""

_MARK = re.compile(r"^<!-- row: (\w+) -->\n", re.MULTILINE)


def sections(page: str) -> dict[str, str]:
    """Return the text of each row that a page has, by the row's name."""
    parts = _MARK.split(page)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def page(machine: str, measured: Mapping[str, str], order: Iterable[str]) -> str:
    """Return a whole page with the rows that were ever measured, in order."""
    rows = "".join(f"<!-- row: {name} -->\n{measured[name]}" for name in order if name in measured)
    return f"{INTRODUCTION}## The machine\n\n{machine}\n\n{rows}"


def replace(path: Path, name: str, section: str, *, machine: str, order: Iterable[str], day: dt.date) -> None:
    """Write what a row found into the page; every other row stays as it was."""
    known = sections(path.read_text()) if path.exists() else {}
    known[name] = f"{section}\nMeasured on {day:%Y-%m-%d}.\n\n"
    path.write_text(page(machine, known, order))
