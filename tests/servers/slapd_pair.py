"""Two real OpenLDAP servers: both take writes and pass them on, or the second is a copy of the first."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from idp_plugin.demo.pki import make_certificates
from idp_plugin.settings import DirectorySettings
from tests.servers import processes
from tests.servers.slapd import ROOT_DN, ROOT_PASSWORD, SERVICE_PASSWORD, SUFFIX, Slapd, dn_of

WAIT_SECONDS = 10.0

_MODULES = "moduleload syncprov\nserverID {number}"
_PASSES_ON = "overlay syncprov\nsyncprov-checkpoint 100 10\n"
_LEARNS = """\
syncrepl rid=00{number} provider=ldap://127.0.0.1:{other} searchbase="{suffix}" type=refreshAndPersist
  retry="1 +" bindmethod=simple binddn="{root}" credentials={password}
"""
_LIMITS = 'limits dn.exact="{root}" size=unlimited time=unlimited\n'
_BOTH_WRITE = _PASSES_ON + _LEARNS + "multiprovider on\n" + _LIMITS
_COPY = _LEARNS + 'updateref "ldap://127.0.0.1:{other}/"\n' + _LIMITS


@dataclass(frozen=True)
class SlapdPair:
    """Two providers with the same people; what is written to one arrives at the other."""

    first: Slapd
    second: Slapd

    def settings(self, **changes: object) -> DirectorySettings:
        """How the gateway reaches them, the first one first."""
        return self.first.settings(
            servers=(self.first.address, self.second.address),
            bind_password=SecretStr(SERVICE_PASSWORD),
            **changes,
        )

    def wait(self, server: Slapd, uid: str, attribute: str, value: str) -> None:
        """Wait until a server has heard of something."""
        deadline = time.monotonic() + WAIT_SECONDS
        while value not in server.read(dn_of(uid)).get(attribute, []):
            assert time.monotonic() < deadline, f"{attribute} of {uid} did not arrive"
            time.sleep(0.01)


@contextlib.contextmanager
def slapd_pair(folder: Path, *, is_copy: bool = False) -> Iterator[SlapdPair]:
    """Start both; the second begins empty and learns everything from the first.

    Args:
        folder: Theirs.
        is_copy: Whether the second refers writes to the first.
    """
    databases = (_PASSES_ON + _LIMITS, _COPY) if is_copy else (_BOTH_WRITE, _BOTH_WRITE)
    certificates = make_certificates(folder / "tls")
    ports = [(processes.free_port(), processes.free_port()) for _ in range(2)]
    servers = []
    for number in (1, 2):
        places = {
            "number": number,
            "other": ports[2 - number][0],
            "suffix": SUFFIX,
            "root": ROOT_DN,
            "password": ROOT_PASSWORD,
        }
        servers.append(
            Slapd(
                folder / f"slapd{number}",
                certificates=certificates,
                ports=ports[number - 1],
                more_modules=_MODULES.format_map(places),
                more_database=databases[number - 1].format_map(places),
                is_empty=number == 2,
            )
        )
    first, second = servers
    with first, second:
        pair = SlapdPair(first, second)
        _wait_for(second, "heidi")
        yield pair


def _wait_for(server: Slapd, uid: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not server.accepts(uid, server.people[uid].password):
        assert time.monotonic() < deadline, f"{uid} did not arrive"
        time.sleep(0.02)
