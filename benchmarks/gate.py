"""What the gate asks of the store at every sign-in, with ten million people in SQLite and in PostgreSQL."""

from pathlib import Path

from benchmarks.gate_look_up import LookUpFigures, in_postgres, in_sqlite
from benchmarks.table import Result, Target

MOST_US = {"SQLite": 50, "PostgreSQL": 300}


def run(folder: Path) -> Result:
    """Measure the one prepared statement."""
    folder.mkdir(parents=True)
    found = {"SQLite": in_sqlite(folder), "PostgreSQL": in_postgres()}
    people = found["SQLite"].people
    return Result(
        title=f"The gate's look-up, {people:,} people",
        method=(
            "One prepared statement, facts included, for a random person, everything in the page cache; one "
            "or two authenticators each, one person in ten unknown. CPU time per call in SQLite; in "
            "PostgreSQL, on a Unix socket, how long the caller waits. Of the same person again and again: "
            "what the machine itself does to the slowest."
        ),
        columns=("", "p50 µs", "p99 µs", "mean µs"),
        rows=[row for where, figures in found.items() for row in _rows(where, figures)],
        targets=[
            Target(f"{where}: p99 at most {most} µs", f"{found[where].p99:.1f} µs", found[where].p99 <= most)
            for where, most in MOST_US.items()
        ],
    )


def _rows(where: str, found: LookUpFigures) -> list[tuple[str, ...]]:
    return [
        (where, f"{found.p50:.1f}", f"{found.p99:.1f}", f"{found.mean:.1f}"),
        (f"{where}, the same person again and again", f"{found.floor_p50:.1f}", f"{found.floor_p99:.1f}", ""),
    ]
