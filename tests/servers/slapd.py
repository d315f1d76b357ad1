"""A real OpenLDAP server with a password policy, on loopback, ready in 0.04 s: a fresh one for every test.

`slapd` is the fixture. Other fixtures (Keycloak federated to it) start one of their own with
`with Slapd(folder) as server:`. It runs as an ordinary user.
"""

import contextlib
import datetime as dt
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import ldap3
import pytest
from pydantic import SecretStr

from idp_plugin.demo.pki import Certificates, make_certificates
from idp_plugin.settings import DirectorySettings
from tests.servers import presence, processes
from tests.servers.versions import ReportVersion

RECIPE = Path(__file__).parents[2] / "deploy/openldap.md"
SUFFIX = "dc=example,dc=org"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
ROOT_DN = f"cn=admin,{SUFFIX}"
ROOT_PASSWORD = "root-Secret-1"
SERVICE_DN = f"cn=svc-reset,ou=services,{SUFFIX}"
SERVICE_PASSWORD = "svc-Secret-1"
POLICY_DN = f"cn=default,ou=policies,{SUFFIX}"

_RELAX = ("1.3.6.1.4.1.4203.666.5.12", True, None)

CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload back_monitor
moduleload ppolicy
moduleload memberof
moduleload refint
moduleload argon2
{more_modules}
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
loglevel none
sizelimit 500
threads 4
TLSCACertificateFile {certificates.authority}
TLSCertificateFile {certificates.certificate}
TLSCertificateKeyFile {certificates.key}
TLSProtocolMin 3.3
TLSVerifyClient never
password-hash {{ARGON2}}

database mdb
suffix "{SUFFIX}"
rootdn "{ROOT_DN}"
rootpw {ROOT_PASSWORD}
directory {folder}/db
maxsize 268435456
limits dn.exact="{SERVICE_DN}" size={largest_search} size.prtotal={largest_search}
dbnosync
envflags nosync writemap
index objectClass eq
index uid,mail,cn,member,memberOf,entryUUID eq
overlay memberof
memberof-refint TRUE
overlay ppolicy
ppolicy_default "{POLICY_DN}"
ppolicy_use_lockout
ppolicy_hash_cleartext

{more_database}
access to dn.subtree="cn=unreadable,{GROUPS}"
  by * none
# Least privilege: the service account writes passwords and locks, and reads the rest.
{access}
database monitor
access to *
  by dn.exact="{ROOT_DN}" read
  by * none
"""

TREE = """\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups

dn: ou=services,{SUFFIX}
objectClass: organizationalUnit
ou: services

dn: ou=policies,{SUFFIX}
objectClass: organizationalUnit
ou: policies

dn: {POLICY_DN}
objectClass: applicationProcess
objectClass: pwdPolicy
cn: default
pwdAttribute: userPassword
pwdMinLength: 8
pwdCheckQuality: 2
pwdInHistory: 3
pwdMaxFailure: 5
pwdLockout: TRUE
pwdLockoutDuration: 86400
pwdFailureCountInterval: 300
pwdMustChange: TRUE
pwdAllowUserChange: TRUE
pwdSafeModify: FALSE
pwdMaxAge: 7776000

dn: {SERVICE_DN}
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: svc-reset
userPassword: {SERVICE_PASSWORD}
"""


def dn_of(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


@dataclass(frozen=True)
class SlapdPerson:
    """One person of the fixture; more attributes go to the entry as they are."""

    uid: str
    password: str
    groups: tuple[str, ...] = ("staff",)
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def dn(self) -> str:
        return dn_of(self.uid)

    def ldif(self) -> str:
        lines = [
            f"dn: {self.dn}",
            "objectClass: inetOrgPerson",
            f"uid: {self.uid}",
            f"cn: {self.uid.title()} Test",
            "sn: Test",
            f"mail: {self.uid}@example.org",
            f"userPassword: {self.password}",
            # Offline loading runs no overlay: neither ppolicy nor memberof.
            *(
                f"{name}: {value}"
                for name, value in ({"pwdChangedTime": _now()} | dict(self.attributes)).items()
            ),
            *(f"memberOf: cn={group},{GROUPS}" for group in self.groups),
        ]
        return "\n".join(lines) + "\n"


def _now() -> str:
    return f"{dt.datetime.now(dt.UTC):%Y%m%d%H%M%SZ}"


LONG_AGO = "20200101000000Z"
PEOPLE_OF_THE_DEMO = (
    SlapdPerson("alice", "Alice-Passw0rd"),
    SlapdPerson("bob", "Bob-Passw0rd"),
    SlapdPerson("carol", "Carol-Passw0rd"),
    SlapdPerson("dave", "Dave-Passw0rd", attributes={"pwdChangedTime": LONG_AGO}),
    SlapdPerson("erin", "Erin-Passw0rd", groups=("staff", "administrators")),
    SlapdPerson("frank", "Frank-Passw0rd", groups=("staff", "helpdesk")),
    SlapdPerson("grace", "Grace-Passw0rd"),
    SlapdPerson("heidi", "Heidi-Passw0rd", groups=()),
)


def _has_stopped(thread: Path) -> bool:
    with contextlib.suppress(OSError):
        return (thread / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    return True


class Slapd:
    """One server with its own folder, ports, authority and people."""

    def __init__(
        self,
        folder: Path,
        people: Sequence[SlapdPerson] = PEOPLE_OF_THE_DEMO,
        *,
        more_ldif: str = "",
        certificates: Certificates | None = None,
        largest_search: str = "unlimited",
        more_modules: str = "",
        more_database: str = "",
        ports: tuple[int, int] | None = None,
        is_empty: bool = False,
    ) -> None:
        self.folder = folder
        self.people = {person.uid: person for person in people}
        self.certificates = certificates or make_certificates(folder / "tls")
        self.port, self.tls_port = ports or (processes.free_port(), processes.free_port())
        self._more_ldif = more_ldif
        self._is_empty = is_empty
        self._more_modules, self._more_database = more_modules, more_database
        self._largest_search = largest_search
        self._running = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """LDAPS."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def plain_address(self) -> str:
        """LDAP, to be upgraded by StartTLS."""
        return f"ldap://127.0.0.1:{self.port}"

    def settings(self, **changes: object) -> DirectorySettings:
        """How the gateway reaches it, as the service account."""
        values: dict[str, object] = {
            "name": "corp",
            "servers": (self.address,),
            "ca": self.certificates.authority,
            "bind_dn": SERVICE_DN,
            "bind_password": SecretStr(SERVICE_PASSWORD),
            "base": PEOPLE,
            "protected_groups": (f"cn=administrators,{GROUPS}",),
            "trusted_attributes": ("mail",),
        }
        return DirectorySettings.model_validate(values | changes)

    def start(self) -> Self:
        """Load the tree and start."""
        self._load()
        self._launch()
        return self

    def _load(self) -> None:
        (self.folder / "db").mkdir(parents=True)
        places = dict(
            globals(),
            folder=self.folder,
            certificates=self.certificates,
            largest_search=self._largest_search,
            more_modules=self._more_modules,
            more_database=self._more_database,
            access=_access(),
        )
        (self.folder / "slapd.conf").write_text(CONFIGURATION.format_map(places))
        if self._is_empty:
            return
        parts = [TREE.format_map(places), *(person.ldif() for person in self.people.values())]
        parts += [*self._groups_ldif(), self._more_ldif]
        loaded = subprocess.run(
            [_program("slapadd"), "-q", "-f", self.folder / "slapd.conf", "-b", SUFFIX],
            input="\n".join(parts).encode(),
            capture_output=True,
            check=False,
        )
        if loaded.returncode:
            raise RuntimeError(loaded.stderr.decode(errors="replace")[-2000:])

    def _groups_ldif(self) -> Iterator[str]:
        for group in sorted({group for person in self.people.values() for group in person.groups}):
            members = [person.dn for person in self.people.values() if group in person.groups]
            lines = [f"dn: cn={group},{GROUPS}", "objectClass: groupOfNames", f"cn: {group}"]
            yield "\n".join([*lines, *(f"member: {dn}" for dn in members)]) + "\n"

    def _launch(self) -> None:
        command: list[str | Path] = [
            _program("slapd"),
            # In the foreground, so that the process we hold is the server.
            *("-d", "0", "-f", self.folder / "slapd.conf"),
            *("-h", f"ldap://127.0.0.1:{self.port}/ {self.address}/"),
        ]
        self._process = self._running.enter_context(
            processes.running(
                command, log=self.folder / "slapd.log", ready=lambda: processes.answers(self.tls_port)
            )
        )

    def stop(self) -> None:
        """Stop it; it can be started again with `restart`."""
        self.thaw()
        self._running.close()
        self._process = None

    def restart(self) -> None:
        """Start again with what it kept."""
        self.stop()
        self._launch()

    def freeze(self) -> None:
        """Let it accept connections and never answer; returns once every thread has stopped."""
        self._signal(signal.SIGSTOP)
        while self._process and not all(map(_has_stopped, Path(f"/proc/{self._process.pid}/task").iterdir())):
            # On a busy machine a thread may answer once more before the signal reaches it.
            time.sleep(0.001)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def version(self) -> str:
        """What the server says it is."""
        with self.as_root() as root:
            root.search("cn=Monitor", "(objectClass=*)", ldap3.BASE, attributes=["monitoredInfo"])
            info = root.response[0]["raw_attributes"]["monitoredInfo"][0].decode()
        return next(word for word in info.split() if word[0].isdigit())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextlib.contextmanager
    def as_root(self) -> Iterator[ldap3.Connection]:
        """Bind as the administrator, whom no policy holds: for arranging and looking, never for asserting
        what the product may do."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, ROOT_DN, ROOT_PASSWORD, auto_bind=ldap3.AUTO_BIND_NO_TLS)
        try:
            yield connection
        finally:
            connection.unbind()

    def change(self, dn: str, **attributes: Sequence[str] | str) -> None:
        """Replace attributes as the administrator, operational ones too; an empty list removes."""
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [value] if isinstance(value, str) else list(value))]
            for name, value in attributes.items()
        }
        with self.as_root() as root:
            assert root.modify(dn, changes, controls=[_RELAX]), root.result

    def add(self, dn: str, classes: Sequence[str], **attributes: Sequence[str] | str) -> None:
        """Add an entry as the administrator."""
        with self.as_root() as root:
            assert root.add(dn, list(classes), attributes), root.result

    def delete(self, dn: str) -> None:
        """Delete an entry as the administrator."""
        with self.as_root() as root:
            assert root.delete(dn), root.result

    def read(self, dn: str) -> dict[str, list[str]]:
        """Return an entry with its operational attributes."""
        with self.as_root() as root:
            root.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["*", "+"])
            raw = root.response[0]["raw_attributes"]
        return {name: [value.decode(errors="replace") for value in values] for name, values in raw.items()}

    def accepts(self, uid: str, password: str) -> bool:
        """Whether a password signs somebody in now; one bind, which counts."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, self.people[uid].dn, password)
        try:
            return bool(connection.bind())
        finally:
            connection.unbind()


def _access() -> str:
    """Return the rights that `deploy/openldap.md` tells an operator to give."""
    rights: str
    (rights,) = re.findall(r"```slapd\n(access .*?)```", RECIPE.read_text("utf-8"), re.DOTALL)
    return rights


def _program(name: str) -> Path:
    return presence.program(name, "/usr/sbin", "/usr/local/sbin", package="slapd")


@pytest.fixture
def slapd(tmp_path: Path, report_version: ReportVersion) -> Iterator[Slapd]:
    """A fresh server with the demo's people; passwords such as `Alice-Passw0rd`."""
    with Slapd(tmp_path / "slapd") as server:
        report_version("OpenLDAP", server.version())
        yield server
