"""What changing a password asks of the place that keeps it."""

import pytest

from flows.errors import NotPossible
from idp_plugin.base import WriterCapabilities
from tests.flows.world import World


def test_an_old_password_that_nobody_can_check_is_never_asked_for(world: World) -> None:
    world.a_person("dave", registered=("email",))
    world.directory.can = WriterCapabilities(takes_old_password=False)
    with pytest.raises(NotPossible) as refused:
        world.proved("dave", purpose="change")
    assert refused.value.why == "cannot_change"
