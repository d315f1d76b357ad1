"""What the gate asks of the store at every sign-in, with a million people in SQLite."""

import base64
import gc
import random
import secrets
import sqlite3
import statistics
import time
import uuid
from pathlib import Path

from benchmarks.harness import Unfit
from benchmarks.table import Result, Target
from store.database import Database
from store.vault import Vault

PEOPLE = 1_000_000
QUESTIONS = 200_000
WARM_UP = 20_000
SOURCE = "https://sso.example.org/realms/corp"
YEAR_US = 365 * 24 * 3600 * 1_000_000


def run(folder: Path) -> Result:
    """Measure the one prepared statement."""
    folder.mkdir(parents=True)
    file = folder / "people.db"
    database = Database(f"sqlite:///{file}", Vault([secrets.token_bytes(32)]))
    database.upgrade()
    _fill(file)
    spent = _ask(database)
    database.dispose()
    middle, late = statistics.median(spent) / 1000, statistics.quantiles(spent, n=100)[98] / 1000
    return Result(
        title=f"The gate's look-up, {PEOPLE:,} people in SQLite",
        method=(
            f"One prepared statement for a random person, {QUESTIONS:,} times, file of "
            f"{file.stat().st_size / (1 << 20):.0f} MiB in the page cache; every second person has one "
            "authenticator, every fourth two. CPU time of the thread, per call."
        ),
        columns=("", "CPU p50 µs", "CPU p99 µs"),
        rows=[("look-up", f"{middle:.1f}", f"{late:.1f}")],
        targets=[Target("p50 at most 50 µs", f"{middle:.1f} µs", middle <= 50)],
    )


def _subject(number: int) -> str:
    return str(uuid.UUID(int=number * 0x9E3779B97F4A7C15 % (1 << 128)))


def _fill(file: Path) -> None:
    """Insert the people by hand: the store would take an hour, and seal a million secrets."""
    now = time.time_ns() // 1000
    with sqlite3.connect(file) as connection:
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -200000;")
        _insert(
            connection,
            "people",
            "id, source, subject, epoch, created_at",
            ((f"{n:032x}", SOURCE, _subject(n), 0, now) for n in range(PEOPLE)),
        )
        columns = (
            "id, person_id, kind, number, secret, lookup, provenance, created_at, confirmed_at, trusted_from"
        )
        _insert(
            connection,
            "authenticators",
            columns,
            (
                (f"{n:024x}{kind:>8}", f"{n:032x}", kind, 1, sealed, "", "self", now, now, now - YEAR_US)
                for n in range(0, PEOPLE, 2)
                for kind in (("email", "totp") if n % 4 == 0 else ("email",))
                for sealed in (base64.b64encode(n.to_bytes(48)),)
            ),
        )
        connection.execute("ANALYZE")
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, columns: str, rows: object) -> None:
    places = ", ".join("?" * len(columns.split(",")))
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)


def _ask(database: Database) -> list[int]:
    chosen = random.Random(5)
    subjects = [_subject(chosen.randrange(PEOPLE)) for _ in range(WARM_UP + QUESTIONS)]
    spent = []
    gc.disable()
    try:
        for subject in subjects:
            began = time.thread_time_ns()
            facts = database.gate_facts(SOURCE, subject)
            spent.append(time.thread_time_ns() - began)
            if facts is None:
                raise Unfit("a person was not found")
    finally:
        gc.enable()
    return spent[WARM_UP:]
