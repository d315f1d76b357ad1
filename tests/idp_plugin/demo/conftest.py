from collections.abc import Iterator
from pathlib import Path

import pytest

from idp_plugin.demo.servers import DemoAddresses, RunningDemo, start_at
from tests.idp_plugin.demo.browser import Browser
from tests.servers import processes


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """The demo without a gateway: the provider itself listens at its issuer."""
    public, application = processes.free_port(), processes.free_port()
    addresses = DemoAddresses(
        f"http://127.0.0.1:{public}", f"http://127.0.0.1:{application}", provider_port=public
    )
    with start_at(addresses, Path(tmp_path_factory.mktemp("demo")), application) as running:
        yield running


@pytest.fixture
def browser(demo: RunningDemo) -> Iterator[Browser]:
    with Browser(demo) as opened:
        yield opened
