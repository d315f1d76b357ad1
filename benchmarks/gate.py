"""What the gate asks of the store at every sign-in, with ten million people in SQLite."""

from pathlib import Path

from benchmarks.gate_look_up import measure_look_up
from benchmarks.table import Result, Target

MOST_US = 50


def run(folder: Path) -> Result:
    """Measure the one prepared statement."""
    folder.mkdir(parents=True)
    found = measure_look_up(folder=folder)
    return Result(
        title=f"The gate's look-up, {found.people:,} people in SQLite",
        method=(
            f"One prepared statement, facts included, for a random person, {found.look_ups:,} times, file "
            "in the page cache; one or two authenticators each, one person in ten unknown. CPU time per "
            "call; of the same person again and again, what the machine itself does to the slowest."
        ),
        columns=("", "CPU p50 µs", "CPU p99 µs", "mean µs"),
        rows=[
            ("look-up", f"{found.p50:.1f}", f"{found.p99:.1f}", f"{found.mean:.1f}"),
            ("the same person again and again", f"{found.floor_p50:.1f}", f"{found.floor_p99:.1f}", ""),
        ],
        targets=[Target(f"p99 at most {MOST_US} µs", f"{found.p99:.1f} µs", found.p99 <= MOST_US)],
    )
