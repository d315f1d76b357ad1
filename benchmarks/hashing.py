"""Whether hashing the answers to security questions slows sign-ins down: both in one process."""

import datetime as dt
import secrets
import statistics
import threading
import time
from pathlib import Path
from typing import Self

from benchmarks.gate_look_up import ISSUER, NOW, fill, subject
from benchmarks.table import Result, Target
from enforcement.policy import Rule, Who
from enforcement.requirement import Facts, gap
from flows.errors import Unavailable
from flows.hashing import Hashing
from store.database import Database
from store.vault import Vault

LEAST = 0.8
PEOPLE = 100_000
ROUNDS = 5
ROUND_SECONDS = 2.0
CALLERS = 8


def run(folder: Path) -> Result:
    """Measure decisions a second, with nothing hashed and with the pool full, in turns."""
    folder.mkdir(parents=True)
    database = Database(f"sqlite:///{folder}/gate.db", Vault([secrets.token_bytes(32)]))
    database.upgrade()
    # Filling wants the file for itself.
    database.dispose()
    fill(folder / "gate.db", PEOPLE)
    quiet, full, hashed = [], [], []
    for _round in range(ROUNDS):
        quiet.append(_decisions(database))
        with _Full() as pool:
            full.append(_decisions(database))
        hashed.append(pool.hashed / ROUND_SECONDS)
    database.dispose()
    ratio = statistics.median(full) / statistics.median(quiet)
    return Result(
        title="Decisions about sign-ins while answers are hashed",
        method=(
            f"One thread decides about random people among {PEOPLE:,} in SQLite, look-up included, while "
            f"{CALLERS} callers keep the hashing pool of the same process full; {ROUNDS} rounds of "
            f"{ROUND_SECONDS:.0f} s each way, in turns. Decisions a second, medians."
        ),
        columns=("", "decisions/s", "answers hashed/s"),
        rows=[
            ("nothing is hashed", f"{statistics.median(quiet):,.0f}", "0"),
            ("the pool is full", f"{statistics.median(full):,.0f}", f"{statistics.median(hashed):.0f}"),
        ],
        targets=[Target(f"at least {LEAST} of the quiet rate", f"{ratio:.2f}", ratio >= LEAST)],
    )


class _Full:
    """A pool that is never empty; `hashed` counts what it did."""

    def __init__(self) -> None:
        self.hashed = 0
        self._hashing = Hashing()
        self._over = threading.Event()
        self._callers = [threading.Thread(target=self._call) for _caller in range(CALLERS)]

    def __enter__(self) -> Self:
        for caller in self._callers:
            caller.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        for caller in self._callers:
            caller.join()
        self._hashing.close()

    def _call(self) -> None:
        while not self._over.is_set():
            try:
                self.hashed += len(self._hashing.hashed(["an answer"] * 3))
            except Unavailable:
                # As a browser does that was told to come again.
                self._over.wait(0.05)


def _decisions(database: Database) -> float:
    rule = Rule(name="Everybody", who=Who(everyone=True))
    until = time.perf_counter() + ROUND_SECONDS
    made = 0
    while time.perf_counter() < until:
        facts = database.gate_facts(ISSUER, subject(secrets.randbelow(PEOPLE)))
        gap(rule, Facts.from_gate(facts), now=NOW + dt.timedelta(days=1))
        made += 1
    return made / ROUND_SECONDS
