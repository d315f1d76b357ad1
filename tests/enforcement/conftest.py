"""A database with the schema, on SQLite: `tests/store` shows that PostgreSQL answers alike."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from enforcement.current_policy import adopt
from store.database import Database
from store.vault import Vault
from tests.enforcement.making import NOW

POLICY = """
[[rules]]
name = "Finance"
kinds = ["totp"]
on_fault = "deny"
[rules.who]
groups = ["finance"]

[[rules]]
name = "Robots"
required = false
[rules.who]
groups = ["robots"]

[[rules]]
name = "Everyone"
kinds = ["email"]
reconfirm_days = 180
[rules.who]
everyone = true
[rules.postpone]
times = 2
"""


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema, to be copied."""
    file = tmp_path_factory.mktemp("schema") / "lasting.db"
    database = Database(f"sqlite:///{file}", Vault([bytes(32)]))
    database.upgrade()
    database.dispose()
    return file


@pytest.fixture
def database(migrated_file: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(migrated_file, tmp_path / "lasting.db")
    opened = Database(f"sqlite:///{tmp_path}/lasting.db", Vault([bytes(32)]))
    yield opened
    opened.dispose()


@pytest.fixture
def policy(database: Database) -> None:
    adopt(database, POLICY, author="tests", now=NOW)
