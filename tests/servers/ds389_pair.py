"""Two 389 Directory Servers of which one replicates to the other."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import ldap3

from tests.servers import ds389_build, processes
from tests.servers.ds389 import Ds389
from tests.servers.ds389_build import SUFFIX

_TREE = r"cn=dc\3Dexample\2Cdc\3Dorg,cn=mapping tree,cn=config"
_REPLICA = f"cn=replica,{_TREE}"
_AGREEMENT = f"cn=second,{_REPLICA}"
_MANAGER = "cn=replication manager,cn=config"
_PASSWORD = "Replication-Secret-1"


@dataclass(frozen=True, slots=True)
class Ds389Pair:
    """Two servers with the same people."""

    first: Ds389
    """Takes the writes and passes them on."""
    second: Ds389

    def stop_replicating(self) -> None:
        """Let the first keep to itself what it takes from now on."""
        self.first.change(_AGREEMENT, nsds5ReplicaEnabled="off")


@contextlib.contextmanager
def ds389_pair() -> Iterator[Ds389Pair]:
    """Start both and fill the second from the first.

    Neither is the one of the run: to end an agreement takes that server two minutes.
    """
    with contextlib.ExitStack() as stack:
        first, second = _started(stack, "first"), _started(stack, "second")
        first.begin_again()
        for number, server in enumerate((first, second), start=1):
            _take_part(server, number)
        _fill(first, second)
        yield Ds389Pair(first, second)


def _started(stack: contextlib.ExitStack, name: str) -> Ds389:
    folder = stack.enter_context(processes.reachable_folder(f"ds389-{name}"))
    server = Ds389(ds389_build.archive(), folder)
    stack.callback(server.kill)
    return server.start()


def _take_part(server: Ds389, number: int) -> None:
    server.add(
        _MANAGER,
        ["person"],
        cn="replication manager",
        sn="manager",
        userPassword=_PASSWORD,
    )
    server.add(
        _REPLICA,
        ["nsds5Replica", "extensibleObject"],
        cn="replica",
        nsDS5ReplicaRoot=SUFFIX,
        nsDS5ReplicaId=str(number),
        nsDS5ReplicaType="3",
        nsDS5Flags="1",
        nsDS5ReplicaBindDN=_MANAGER,
    )


def _fill(first: Ds389, second: Ds389) -> None:
    first.add(
        _AGREEMENT,
        ["nsds5ReplicationAgreement"],
        cn="second",
        nsDS5ReplicaHost="127.0.0.1",
        nsDS5ReplicaPort=str(second.port),
        nsDS5ReplicaTransportInfo="LDAP",
        nsDS5ReplicaBindMethod="SIMPLE",
        nsDS5ReplicaBindDN=_MANAGER,
        nsDS5ReplicaCredentials=_PASSWORD,
        nsDS5ReplicaRoot=SUFFIX,
        nsds5BeginReplicaRefresh="start",
    )
    end = time.monotonic() + 60
    while (status := _status(first)) is None or "Total update succeeded" not in status:
        assert time.monotonic() < end, status
        time.sleep(0.1)


def _status(first: Ds389) -> str | None:
    """Return how the filling ended; None while it goes on."""
    names = ["nsds5BeginReplicaRefresh", "nsds5replicaLastInitStatus"]
    with first.as_root() as root:
        root.search(_AGREEMENT, "(objectClass=*)", ldap3.BASE, attributes=names)
        found = root.response[0]["raw_attributes"]
    if found.get(names[0]):
        return None
    return next((each.decode() for each in found.get(names[1], ())), None)
