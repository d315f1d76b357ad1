"""A gateway with forward auth for each module, and without what a test before left behind."""

from collections.abc import Iterator

import pytest

from tests.gateway.forward_auth.around import Around, opened


@pytest.fixture(scope="module")
def started() -> Iterator[Around]:
    """Use `around`, which is emptied."""
    with opened(forward_auth={"session_minutes": 10}) as running:
        yield running


@pytest.fixture
def around(started: Around) -> Around:
    started.world.begin_anew()
    started.world.register("bob", "email")
    started.application.seen.clear()
    return started
