"""Writers that can ask for a new password at the next sign-in, on real servers and on the demo's."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from idp_plugin.base import ChangeForcer, PasswordState
from idp_plugin.errors import NotPermitted
from tests.contracts.arranged_agents import by_agent
from tests.contracts.arranged_directories import NAMES, NEW, Arrangement, Demo, Ds389, Samba, Slapd

OTHER = "Another-New-Passw0rd"
SERVED: Mapping[str, tuple[str, Callable[[Any], Arrangement]]] = {
    "slapd": ("slapd", Slapd),
    "ds389": ("ds389", Ds389),
    "samba": ("samba_domain", Samba),
}


@pytest.fixture(params=["slapd", "ds389", "samba", "demo", "ds389 by agent", "samba by agent"])
def arranged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Arrangement]:
    name, _, agent = request.param.partition(" by ")
    if name in SERVED:
        fixture, arrangement = SERVED[name]
        served = arrangement(request.getfixturevalue(fixture))
        if not agent:
            yield served
            return
        with by_agent(tmp_path, request.getfixturevalue("valkey"), served) as asked:
            yield asked
        return
    demo = Demo(tmp_path)
    for name in NAMES:
        demo.age(name, 0)
    yield demo
    demo.stop()


def test_a_password_that_was_set_opens_nothing_until_it_is_changed(arranged: Arrangement) -> None:
    directory = arranged.directory
    assert isinstance(directory, ChangeForcer)
    identity = directory.find("bob")
    assert identity
    directory.set_password(identity.account, NEW)
    directory.require_change(identity.account)
    assert directory.verify_password(identity.account, NEW) is PasswordState.MUST_CHANGE
    directory.change_password(identity.account, NEW, OTHER)
    assert directory.verify_password(identity.account, OTHER) is PasswordState.USABLE


def test_nobody_with_special_rights_is_made_to_change(arranged: Arrangement) -> None:
    directory = arranged.directory
    assert isinstance(directory, ChangeForcer)
    identity = directory.find("erin")
    assert identity
    with pytest.raises(NotPermitted):
        directory.require_change(identity.account)
