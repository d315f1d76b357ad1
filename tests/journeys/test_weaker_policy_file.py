"""A policy file that became weaker: the gateway starts, and the version before it stays in force (S23)."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from enforcement.proposals import waiting
from tests.journeys.world import open_world

OPERATORS = "operators@example.org"


@pytest.fixture
def folder() -> Iterator[Path]:
    # A socket's path may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sparekey-world-"))
    yield folder
    shutil.rmtree(folder)


def test_the_gateway_starts_with_the_older_policy_and_tells_administrators(folder: Path) -> None:
    with open_world(folder, trust_delay_hours=24):
        pass
    with open_world(folder, trust_delay_hours=0, contact={"alarms": [OPERATORS]}) as world:
        services = world.sparekey.services
        assert {rule.trust_delay_hours for rule in services.gate.current_policy().rules} == {24}
        (waits,) = waiting(services.database)
        assert {each.what for each in waits.weaker} == {"trust_delay_hours"}
        (told,) = world.messages(OPERATORS)
        assert "nobody known; found in the file" in told["text"]
