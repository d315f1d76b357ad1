"""PostgreSQL on a unix socket: one server per test process, a database of its own for every test."""

import contextlib
import getpass
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.servers.presence import program
from tests.servers.processes import running
from tests.servers.versions import ReportVersion

OWNER = "sparekey"
DEBIAN = [f"/usr/lib/postgresql/{version}/bin" for version in range(18, 14, -1)]


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server."""

    folder: Path
    """Where its socket is."""
    _numbers: Iterator[int] = field(default_factory=itertools.count, repr=False)
    _templates: dict[str, str] = field(default_factory=dict, repr=False)

    def url(self, database: str) -> str:
        """Return a database's address as SQLAlchemy wants it."""
        return f"postgresql+psycopg://{OWNER}@/{database}?host={self.folder}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """Connect with every statement its own transaction."""
        return psycopg.connect(f"host={self.folder} user={OWNER} dbname={database}", autocommit=True)

    def new_database(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        name = f"test_{next(self._numbers)}"
        with self.connect() as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, together with connections that a test left open."""
        with self.connect() as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))

    def template(self, key: str, prepare: Callable[[str], None]) -> str:
        """Return the name of a database that `prepare` filled once per run; copies of it are cheap.

        Args:
            key: Names the content.
            prepare: Gets the new database's address; must leave no connection open.
        """
        if key not in self._templates:
            name = self.new_database()
            prepare(self.url(name))
            self._templates[key] = name
        return self._templates[key]


@pytest.fixture(scope="session")
def postgres(report_version: ReportVersion) -> Iterator[Postgres]:
    """One PostgreSQL for the run."""
    with serving() as server:
        with server.connect() as connection:
            report_version("PostgreSQL", connection.info.parameter_status("server_version").split()[0])
        yield server


@contextlib.contextmanager
def serving(**options: str) -> Iterator[Postgres]:
    """Run a PostgreSQL, with further options of the server."""
    initdb = program("initdb", *DEBIAN, package="postgresql")
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    folder = Path(tempfile.mkdtemp(prefix="sparekey-postgres-"))
    try:
        with _serving(initdb, folder, user, options) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _serving(initdb: Path, folder: Path, user: str, more: Mapping[str, str]) -> Iterator[Postgres]:
    other = user if os.geteuid() == 0 else None
    if other:
        shutil.chown(folder, other, other)
    cluster = folder / "cluster"
    subprocess.run(
        [initdb, "-D", cluster, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        check=True,
        capture_output=True,
        cwd=folder,
        user=other,
        group=other,
        extra_groups=[] if other else None,
    )
    options = {
        "listen_addresses": "",
        "unix_socket_directories": folder,
        "unix_socket_permissions": "0700",
        # Nothing here has to survive a crash.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        **more,
    }
    words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    server = Postgres(folder)

    def ready() -> bool:
        with contextlib.suppress(psycopg.OperationalError), server.connect():
            return True
        return False

    command = [initdb.with_name("postgres"), "-D", cluster, *words]
    with running(command, log=folder / "log", ready=ready, user=other):
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """An empty database of the test's own."""
    name = postgres.new_database()
    yield postgres.url(name)
    postgres.drop_database(name)
