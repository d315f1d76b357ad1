"""Two replicating servers of 389-ds: at how many a new password works."""

from collections.abc import Iterator

import ldap3
import pytest

from idp_plugin.base import Convergence, TargetOutcome, TargetResult
from idp_plugin.ldap.ds389 import Ds389 as Ds389Directory
from tests.servers.ds389 import dn_of
from tests.servers.ds389_pair import Ds389Pair, ds389_pair

ISSUER = "https://sso.example.org"
NEW = "Quite-New-Passw0rd"
LONG_AGO = "20200101000000Z"


@pytest.fixture(scope="module")
def pair() -> Iterator[Ds389Pair]:
    with ds389_pair() as servers:
        # Its policy is not passed on: from here on the second counts wrong passwords, too.
        servers.second.configure(passwordLockout="on", passwordMaxFailure="5")
        for name in ("alice", "bob"):
            servers.first.change(dn_of(name), pwdUpdateTime=LONG_AGO)
        yield servers


def written(pair: Ds389Pair, username: str, *, seconds: float) -> tuple[TargetResult, ...]:
    settings = pair.first.settings(replicas=(pair.second.address,), replica_seconds=seconds)
    directory = Ds389Directory(settings, ISSUER)
    person = directory.find(username)
    assert person
    return directory.set_password(person.account, NEW)


def works(works: int, asked: int) -> tuple[TargetResult, ...]:
    return (TargetResult("corp", TargetOutcome.WRITTEN, Convergence(works, asked)),)


def test_a_new_password_works_at_the_second_server_once_it_has_heard(pair: Ds389Pair) -> None:
    assert written(pair, "alice", seconds=20) == works(1, 1)
    server = ldap3.Server("127.0.0.1", pair.second.port, get_info=ldap3.NONE)
    with ldap3.Connection(server, dn_of("alice"), NEW) as connection:
        assert connection.bound


def test_a_second_server_that_has_not_heard_is_not_asked_to_take_it(pair: Ds389Pair) -> None:
    pair.stop_replicating()
    assert written(pair, "bob", seconds=1) == works(0, 1)
    assert pair.second.read(dn_of("bob")).get("passwordRetryCount", ["0"]) == ["0"]
