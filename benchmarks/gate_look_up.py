"""The gate's look-up with many people, in SQLite and in PostgreSQL: one prepared statement with all facts."""

import contextlib
import datetime as dt
import random
import secrets
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Unfit
from store.columns import to_microseconds
from store.database import Database
from store.vault import Vault
from tests.servers.postgres import serving

ISSUER = "https://sso.example.org/realms/staff"
Clock = Callable[[], int]
"""In nanoseconds."""
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

PEOPLE = 10_000_000

_FILL_SQLITE = (
    # Ids come in another order than subjects, and both in their own order within their index.
    """
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :people)
    INSERT INTO people
    SELECT printf('%08x%024x', (n * 2654435761) & 4294967295, n), :source,
           printf('%08x-%04x-4%03x-8%03x-%012x', n * 429, n & 65535, n & 4095, n & 4095, n),
           0, :at, :at, NULL, NULL, NULL
      FROM numbers
    """,
    """
    INSERT INTO authenticators
    SELECT printf('%032x', 2 * p.rowid + k.number), p.id, k.kind, 1, randomblob(80), '', 'self',
           :at, :at, :at, NULL, NULL, 1
      FROM people p
      JOIN (SELECT 0 AS number, 'email' AS kind UNION ALL SELECT 1, 'totp') k ON k.number <= p.rowid % 2
    """,
    """
    INSERT INTO postponements SELECT id, printf('%032x', rowid), :at FROM people WHERE rowid % 20 = 0
    """,
)
"""One statement for each table: ten million people in minutes."""
_FILL_POSTGRES = (
    # Everybody whom the rows name is there: asking for each would take most of the time.
    "SET session_replication_role = replica",
    """
    INSERT INTO people (id, source, subject, epoch, created_at)
    SELECT lpad(to_hex((n * 2654435761) & 4294967295), 8, '0') || lpad(to_hex(n), 24, '0'), %(source)s,
           format('%%s-%%s-4%%s-8%%s-%%s', lpad(to_hex(n * 429), 8, '0'), lpad(to_hex(n & 65535), 4, '0'),
                  lpad(to_hex(n & 4095), 3, '0'), lpad(to_hex(n & 4095), 3, '0'), lpad(to_hex(n), 12, '0')),
           0, %(at)s
      FROM generate_series(0::bigint, %(people)s - 1) n
    """,
    """
    INSERT INTO authenticators (id, person_id, kind, number, secret, lookup, provenance,
                                created_at, confirmed_at, trusted_from, confirmed_version)
    SELECT lpad(to_hex(2 * ('x' || right(p.id, 8))::bit(32)::bigint + k.number), 32, '0'), p.id, k.kind, 1,
           decode(repeat(md5(p.id), 5), 'hex'), '', 'self', %(at)s, %(at)s, %(at)s, 1
      FROM people p
      JOIN (VALUES (0, 'email'), (1, 'totp')) k (number, kind)
        ON k.number <= ('x' || right(p.id, 8))::bit(32)::bigint %% 2
    """,
    """
    INSERT INTO postponements (person_id, session, at)
    SELECT id, md5(id), %(at)s FROM people WHERE ('x' || right(id, 8))::bit(32)::bigint %% 20 = 0
    """,
    "VACUUM (ANALYZE)",
)
"""As for SQLite."""


@dataclass(frozen=True, slots=True)
class LookUpFigures:
    """Microseconds of one look-up."""

    people: int
    look_ups: int
    p50: float
    p99: float
    mean: float
    """Of the whole loop, so that nothing hides in the clock's own cost."""
    floor_p50: float
    """Of one person again and again: everything is in the processor's caches."""
    floor_p99: float
    """As `floor_p50`: what the machine itself makes of the slowest."""


def in_sqlite(folder: Path, people: int = PEOPLE, look_ups: int = 200_000) -> LookUpFigures:
    """Fill a database and look up people at random, one in ten of them unknown; CPU time.

    Args:
        folder: Where the database goes.
        people: Each with one or two authenticators, one in twenty with a postponement.
        look_ups: After a tenth as many that are not counted.
    """
    file = folder / "gate.db"
    with _opened(f"sqlite:///{file}") as database:
        # Filling writes no journal, which wants the file for itself.
        database.dispose()
        fill(file, people)
        return _measured(database, people, look_ups, time.thread_time_ns)


def in_postgres(people: int = PEOPLE, look_ups: int = 50_000) -> LookUpFigures:
    """As `in_sqlite`, in a PostgreSQL of its own; the clock's time, for most of it passes in the server."""
    with serving(shared_buffers="2GB", max_wal_size="16GB", maintenance_work_mem="1GB") as server:
        name = server.new_database()
        with _opened(server.url(name)) as database:
            given = {"people": people, "source": ISSUER, "at": NOW}
            with server.connect(name) as connection:
                for statement in _FILL_POSTGRES:
                    connection.execute(statement, given if "%(" in statement else None)
            return _measured(database, people, look_ups, time.perf_counter_ns)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[Database]:
    """Yield an empty database with the schema."""
    database = Database(url, Vault([secrets.token_bytes(32)]))
    try:
        database.upgrade()
        yield database
    finally:
        database.dispose()


def fill(file: Path, people: int) -> None:
    """Write people straight into the tables; the secrets are random bytes, which the gate never opens."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000;"
    )
    connection.execute("BEGIN")
    given = {"people": people, "source": ISSUER, "at": to_microseconds(NOW)}
    for statement in _FILL_SQLITE:
        connection.execute(statement, given)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def subject(number: int) -> str:
    """Return a subject that looks like Keycloak's, as `_FILL` makes it."""
    return f"{number * 429:08x}-{number & 65535:04x}-4{number & 4095:03x}-8{number & 4095:03x}-{number:012x}"


def _measured(database: Database, people: int, look_ups: int, clock: Clock) -> LookUpFigures:
    if database.gate_facts(ISSUER, subject(people - 1)) is None:
        raise Unfit("people were not filled in as they are asked about")
    choose = random.Random(1)
    asked = [
        subject(choose.randrange(people)) if choose.random() < 0.9 else f"nobody-{choose.randrange(people)}"
        for _ in range(look_ups + look_ups // 10)
    ]
    for one in asked[: look_ups // 10]:
        database.gate_facts(ISSUER, one)
    before = clock()
    p50, p99 = _percentiles(database, asked[look_ups // 10 :], clock)
    mean = (clock() - before) / 1000 / look_ups
    floor = _percentiles(database, [subject(0)] * (look_ups // 10), clock)
    return LookUpFigures(people, look_ups, p50, p99, mean, *floor)


def _percentiles(database: Database, asked: Sequence[str], clock: Clock) -> tuple[float, float]:
    """Return the median and the 99th percentile of looking each of them up, in turn."""
    each = []
    for one in asked:
        start = clock()
        database.gate_facts(ISSUER, one)
        each.append((clock() - start) / 1000)
    cuts = statistics.quantiles(each, n=100)
    return cuts[49], cuts[98]
