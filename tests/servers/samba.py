"""A real Active Directory domain controller (Samba) on a loopback address of its own, over LDAPS.

`samba` is one controller for the run, `samba_domain` a place of its own for one test, with the demo's people
and groups in it. The ports of a domain controller are fixed, so each has an address instead.
"""

import contextlib
import datetime as dt
import itertools
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import ldap3
import pytest
from pydantic import SecretStr

from idp_plugin.demo.pki import make_certificates
from idp_plugin.ldap.active_directory_account import ticks
from idp_plugin.settings import DirectorySettings
from tests.servers import presence, processes
from tests.servers import samba_build as building
from tests.servers.versions import ReportVersion

REALM, DOMAIN, PEOPLE = building.REALM, building.DOMAIN, building.PEOPLE
LDAPS = 636
ORDINARY = 512
DISABLED = 514
_WHOLE_TREE = ("1.2.840.113556.1.4.805", True, None)
_BYPASS = "local_oid:1.3.6.1.4.1.7165.4.3.12:0"
"""Lets a local administrator write what the password module keeps to itself."""


def span(length: dt.timedelta) -> str:
    """Return a length of time as the directory counts it."""
    return str(-(length // dt.timedelta(microseconds=1)) * 10)


POLICY = {
    "minPwdLength": "8",
    "pwdHistoryLength": "3",
    "pwdProperties": "0",
    "minPwdAge": "0",
    "maxPwdAge": span(dt.timedelta(days=90)),
    "lockoutThreshold": "5",
    "lockoutDuration": span(dt.timedelta(days=1)),
    "lockOutObservationWindow": span(dt.timedelta(minutes=5)),
}


class Samba:
    """One domain controller with its own folder, address and authority."""

    def __init__(
        self, folder: Path, *, old_password_minutes: int = 0, takes_plain_binds: bool = False
    ) -> None:
        """Choose an address.

        Args:
            folder: Made when missing.
            old_password_minutes: How long the password before a reset still works.
            takes_plain_binds: For clients of a test that know no authority of ours.
        """
        self.folder = folder
        self._old_password_minutes = old_password_minutes
        self._takes_plain_binds = takes_plain_binds
        self._running = contextlib.ExitStack()
        self.host = _free_address()

    @property
    def address(self) -> str:
        """LDAPS."""
        return f"ldaps://{self.host}"

    def __enter__(self) -> Self:
        archive = building.build()
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["tar", "-C", self.folder, "-xzf", archive], check=True)
        self.certificates = make_certificates(
            self.folder / "tls",
            names=("localhost", f"dc1.{REALM}"),
            addresses=("127.0.0.1", self.host),
        )
        building.configure(
            self.folder,
            address=self.host,
            certificate=self.certificates.certificate,
            key=self.certificates.key,
            authority=self.certificates.authority,
            old_password_minutes=self._old_password_minutes,
            strong="no" if self._takes_plain_binds else "yes",
        )
        self._running.enter_context(
            processes.running(
                [
                    building.program("samba"),
                    *("--foreground", "--no-process-group", "--model=single", "--debug-stdout"),
                    f"--configfile={self.folder}/etc/smb.conf",
                ],
                log=self.folder / "log/stdout",
                ready=lambda: _answers(self.host),
                seconds=60,
            )
        )
        self.administrator = self.bind(building.ADMINISTRATOR, building.ADMINISTRATOR_PASSWORD)
        return self

    def __exit__(self, *_: object) -> None:
        self.administrator.unbind()
        self._running.close()

    def bind(self, name: str, password: str) -> ldap3.Connection:
        """Connect as anybody; not the product's connection, for arranging and looking."""
        server = ldap3.Server(self.host, LDAPS, use_ssl=True, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, name, password, receive_timeout=20, check_names=False)
        connection.bind()
        return connection

    def add(self, dn: str, classes: Sequence[str], **attributes: object) -> None:
        """Add an entry as the administrator."""
        made = self.administrator.add(
            dn, list(classes), {k.replace("_", "-"): v for k, v in attributes.items()}
        )
        assert made, self.administrator.result

    def change(self, dn: str, changes: Mapping[str, Sequence[str | bytes] | str | bytes]) -> None:
        """Replace attributes as the administrator; an empty list removes."""
        replaced = {
            name: [(ldap3.MODIFY_REPLACE, [value] if isinstance(value, str | bytes) else list(value))]
            for name, value in changes.items()
        }
        assert self.administrator.modify(dn, replaced), self.administrator.result

    def read(self, dn: str, *attributes: str) -> dict[str, list[bytes]]:
        """Return attributes as the administrator sees them."""
        assert self.administrator.search(dn, "(objectClass=*)", ldap3.BASE, attributes=list(attributes))
        return dict(self.administrator.response[0]["raw_attributes"])

    def delete(self, dn: str) -> None:
        """Delete an entry and everything below it."""
        assert self.administrator.delete(dn, controls=[_WHOLE_TREE]), self.administrator.result

    def age(self, dn: str, age: dt.timedelta) -> None:
        """Make a password older than it is, which only the domain's own files allow."""
        then = ticks(dt.datetime.now(dt.UTC) - age)
        change = f"dn: {dn}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: {then}\n"
        database = self.folder / "private/sam.ldb"
        building.run(
            self.folder, building.program("ldbmodify"), "-H", database, f"--controls={_BYPASS}", given=change
        )

    def tool(self, *words: str) -> str:
        """Run `samba-tool` on the domain's files."""
        return building.run(self.folder, building.program("samba-tool"), *words)

    def settings(self, base: str = PEOPLE, **changes: object) -> DirectorySettings:
        """How the gateway reaches it, as the service account."""
        values: dict[str, object] = {
            "name": "corp",
            "kind": "active_directory",
            "servers": (self.address,),
            "ca": self.certificates.authority,
            "bind_dn": f"{building.SERVICE}@{REALM}",
            "bind_password": SecretStr(building.SERVICE_PASSWORD),
            "base": base,
            "trusted_attributes": ("mail",),
            "seconds": 20,
        }
        return DirectorySettings.model_validate(values | changes)


def _free_address() -> str:
    """Return a loopback address where nobody serves LDAPS; a network cannot be shared by a port alone."""
    while True:
        host = ".".join(["127", *(str(secrets.choice(range(10, 250))) for _ in range(3))])
        with contextlib.suppress(OSError), socket.create_server((host, LDAPS)):
            return host


def _answers(host: str) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, LDAPS), timeout=1):
        return True
    return False


@dataclass(frozen=True)
class SambaPerson:
    """One person of the fixture."""

    username: str
    password: str
    groups: tuple[str, ...] = ("staff",)


PEOPLE_OF_THE_DEMO = tuple(
    SambaPerson(name, f"{name.title()}-Passw0rd", groups)
    for name, groups in {
        "alice": ("staff",),
        "bob": ("staff",),
        "carol": ("staff",),
        "dave": ("staff",),
        "erin": ("staff", "protected"),
        "frank": ("staff", "helpdesk"),
        "grace": ("staff",),
        "heidi": (),
    }.items()
)

_NUMBERS = itertools.count(1)


class SambaDomain:
    """The people and groups of one test, in an organisational unit of their own."""

    def __init__(self, server: Samba, people: Sequence[SambaPerson] = PEOPLE_OF_THE_DEMO) -> None:
        self.server = server
        self.base = f"OU=test{next(_NUMBERS)},{PEOPLE}"
        self.people = {person.username: person for person in people}

    def __enter__(self) -> Self:
        self.server.change(DOMAIN, POLICY)
        self.server.add(self.base, ["organizationalUnit"])
        for person in self.people.values():
            self.add_person(person.username, person.password)
        for group in sorted({group for person in self.people.values() for group in person.groups}):
            members = [self.dn(name) for name, person in self.people.items() if group in person.groups]
            self.add_group(group, members)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.delete(self.base)
        self.server.change(DOMAIN, POLICY)

    def dn(self, username: str) -> str:
        """Where a person of the fixture is."""
        return f"CN={username.title()} Test,{self.base}"

    def group(self, name: str) -> str:
        """Where a group is."""
        return f"CN={name},{self.base}"

    def add_person(self, username: str, password: str, *, dn: str = "", **attributes: object) -> None:
        """Add somebody with a password."""
        values: dict[str, object] = {
            "sAMAccountName": username,
            "userPrincipalName": f"{username}@{REALM}",
            "mail": f"{username}@example.org",
            "displayName": f"{username.title()} Test",
            "givenName": username.title(),
            "sn": "Test",
            "userAccountControl": str(ORDINARY),
            "unicodePwd": quoted(password),
        }
        self.server.add(dn or self.dn(username), ["user"], **(values | attributes))

    def add_group(self, name: str, members: Sequence[str] = ()) -> None:
        """Add a security group."""
        extra = {"member": list(members)} if members else {}
        self.server.add(self.group(name), ["group"], sAMAccountName=name, **extra)

    def change(self, username: str, **attributes: Sequence[str | bytes] | str | bytes) -> None:
        """Replace a person's attributes as the administrator."""
        self.server.change(self.dn(username), attributes)

    def join(self, dn: str, group: str) -> None:
        """Make somebody, or a group, a member of a group."""
        server = self.server.administrator
        assert server.modify(group, {"member": [(ldap3.MODIFY_ADD, [dn])]}), server.result

    def settings(self, **changes: object) -> DirectorySettings:
        """How the gateway reaches these people."""
        values = {"protected_groups": (self.group("protected"),)} | changes
        return self.server.settings(self.base, **values)

    def accepts(self, username: str, password: str) -> bool:
        """Whether a password signs somebody in now; one bind, which counts."""
        connection = self.server.bind(self.dn(username), password)
        connection.unbind()
        return bool(connection.result["result"] == 0)


def quoted(password: str) -> bytes:
    """Return a password as the administrator writes it."""
    return f'"{password}"'.encode("utf-16-le")


@contextlib.contextmanager
def serving(
    folder: Path, *, old_password_minutes: int = 0, takes_plain_binds: bool = False
) -> Iterator[Samba]:
    """Start a domain controller as `Samba` says, or skip where there can be none."""
    server = Samba(folder, old_password_minutes=old_password_minutes, takes_plain_binds=takes_plain_binds)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(server)
        except building.NotAvailableError as error:
            presence.missing("Samba", str(error))
        yield server


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory, report_version: ReportVersion) -> Iterator[Samba]:
    """One domain controller for the run; old passwords die at once."""
    with serving(tmp_path_factory.mktemp("samba")) as server:
        report_version("Samba", building.version().removesuffix("-Debian"))
        yield server


@pytest.fixture
def samba_domain(samba: Samba) -> Iterator[SambaDomain]:
    """A place of its own with the demo's people; passwords such as `Alice-Passw0rd`."""
    with SambaDomain(samba) as domain:
        yield domain
