"""The gate's look-up with many people in SQLite: CPU time of one prepared statement, facts included."""

import datetime as dt
import random
import secrets
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from store.columns import to_microseconds
from store.database import Database
from store.vault import Vault

ISSUER = "https://sso.example.org/realms/staff"
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_BATCH = 100_000


@dataclass(frozen=True, slots=True)
class LookUpFigures:
    """CPU microseconds of one look-up."""

    people: int
    look_ups: int
    p50: float
    p99: float
    mean: float
    """Of the whole loop, so that nothing hides in the clock's own cost."""


def measure_look_up(
    people: int = 1_000_000, look_ups: int = 200_000, folder: Path | None = None
) -> LookUpFigures:
    """Fill a database and look up people at random, one in ten of them unknown.

    Args:
        people: Each with one or two authenticators, one in twenty with a postponement.
        look_ups: After a tenth as many that are not counted.
        folder: Where the database goes; a temporary folder without it.
    """
    with tempfile.TemporaryDirectory() as temporary:
        database = Database(f"sqlite:///{folder or temporary}/gate.db", Vault([secrets.token_bytes(32)]))
        try:
            database.upgrade()
            fill(Path(folder or temporary) / "gate.db", people)
            return _measured(database, people, look_ups)
        finally:
            database.dispose()


def fill(file: Path, people: int) -> None:
    """Write people straight into the tables; the secrets are random bytes, which the gate never opens."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;")
    for first in range(0, people, _BATCH):
        numbers = range(first, min(first + _BATCH, people))
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO people VALUES (?, ?, ?, 0, ?, ?, NULL, NULL, NULL)", map(_person, numbers)
        )
        connection.executemany(
            "INSERT INTO authenticators VALUES (?, ?, ?, 1, ?, '', 'self', ?, ?, ?, NULL, NULL, 1)",
            (row for number in numbers for row in _authenticators(number)),
        )
        connection.executemany(
            "INSERT INTO postponements VALUES (?, ?, ?)",
            (
                (_id(number), secrets.token_hex(16), to_microseconds(NOW))
                for number in numbers
                if number % 20 == 0
            ),
        )
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def subject(number: int) -> str:
    """Return a subject that looks like Keycloak's, spread over the index as theirs are."""
    return str(random.Random(f"subject {number}").getrandbits(128))


def _measured(database: Database, people: int, look_ups: int) -> LookUpFigures:
    choose = random.Random(1)
    asked = [
        subject(choose.randrange(people)) if choose.random() < 0.9 else f"nobody-{choose.randrange(people)}"
        for _ in range(look_ups + look_ups // 10)
    ]
    for one in asked[: look_ups // 10]:
        database.gate_facts(ISSUER, one)
    counted = asked[look_ups // 10 :]
    each = []
    before = time.process_time_ns()
    for one in counted:
        start = time.thread_time_ns()
        database.gate_facts(ISSUER, one)
        each.append((time.thread_time_ns() - start) / 1000)
    mean = (time.process_time_ns() - before) / 1000 / look_ups
    cuts = statistics.quantiles(each, n=100)
    return LookUpFigures(people, look_ups, cuts[49], cuts[98], mean)


def _id(number: int) -> str:
    return f"{random.Random(f'id {number}').getrandbits(128):032x}"


def _person(number: int) -> tuple[str, str, str, int, int]:
    at = to_microseconds(NOW)
    return (_id(number), ISSUER, subject(number), at, at)


def _authenticators(number: int) -> Iterator[tuple[str, str, str, bytes, int, int, int]]:
    at = to_microseconds(NOW)
    for kind in ("email", "totp")[: 1 + number % 2]:
        yield (secrets.token_hex(16), _id(number), kind, secrets.token_bytes(80), at, at, at)


if __name__ == "__main__":
    print(measure_look_up())
