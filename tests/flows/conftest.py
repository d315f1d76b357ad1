"""Fixtures for the journeys."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.world import World, close_world, empty_database, open_world
from tests.servers.valkey import Valkey

OpenWorld = Callable[..., World]


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database file: migrating one for every test would take most of the time."""
    return empty_database(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def lasting() -> str:
    """The address of the database; empty for SQLite. Modules that run on both override it."""
    return ""


@pytest.fixture
def make_world(tmp_path: Path, empty: Path, valkey: Valkey, lasting: str) -> Iterator[OpenWorld]:
    """Open a world with limits or a policy of its own."""
    with contextlib.ExitStack() as stack:

        def make(**how: object) -> World:
            world = open_world(tmp_path, empty, valkey.url, lasting=lasting, **how)
            stack.callback(close_world, world)
            return world

        yield make


@pytest.fixture
def world(make_world: OpenWorld) -> World:
    """One e-mail proof resets; a first binding waits 24 hours."""
    return make_world()
