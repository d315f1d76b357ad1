"""A real 389 Directory Server, once per run; its people, rights and policy are made anew for every test.

The rights are those of `deploy/389-directory-server.md`, read from that page. Locks, ages and orders to
change are arranged by the Directory Manager.
"""

import contextlib
import datetime as dt
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import ldap3
import pytest
from ldap3.core.exceptions import LDAPExceptionError
from pydantic import SecretStr

from idp_plugin.settings import DirectorySettings
from tests.servers import ds389_build, ldif, processes
from tests.servers.ds389_build import NAME, ROOT_DN, ROOT_PASSWORD, SUFFIX
from tests.servers.versions import ReportVersion

RECIPE = Path(__file__).parents[2] / "deploy/389-directory-server.md"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
SERVICE_DN = f"cn=svc-reset,ou=services,{SUFFIX}"
SERVICE_PASSWORD = "svc-Secret-1"

POLICY = {
    "passwordCheckSyntax": "on",
    "passwordMinLength": "8",
    "passwordMinCategories": "1",
    "passwordHistory": "on",
    "passwordInHistory": "3",
    "passwordLockout": "on",
    "passwordUnlock": "on",
    "passwordMaxFailure": "5",
    "passwordLockoutDuration": "86400",
    "passwordResetFailureCount": "300",
    "passwordMustChange": "on",
    "passwordExp": "on",
    "passwordMaxAge": "7776000",
    "passwordWarning": "0",
    "passwordGraceLimit": "0",
    "passwordMinAge": "0",
    "passwordMinTokenLength": "3",
    "passwordBadWords": "",
    "passwordChange": "on",
    "nsslapd-pwpolicy-local": "on",
}
OTHER_POLICY = (
    *("passwordMinDigits", "passwordMinAlphas", "passwordMinUppers", "passwordMinLowers"),
    *("passwordMinSpecials", "passwordMin8Bit", "passwordMaxRepeats", "passwordMaxSequence"),
    *("passwordMaxSeqSets", "passwordMaxClassChars"),
)
SWITCHES = ("passwordPalindrome", "passwordDictCheck")
USABILITY_DN = "oid=1.3.6.1.4.1.42.2.27.9.5.8,cn=features,cn=config"
_CONFIGURED = ("cn=config", USABILITY_DN)
"""Where the recipe gives rights outside the tree."""
_GROUPS_OF = {"erin": ("staff", "administrators"), "frank": ("staff", "helpdesk"), "heidi": ()}
NEVER_SET = "19700101000000Z"
"""In the place of a date of expiry: the password must be changed."""
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")


def password_of(uid: str) -> str:
    return f"{uid.title()}-Passw0rd"


def dn_of(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


class Ds389:
    """One server with its own folder and ports."""

    def __init__(self, archive: Path, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls_port = processes.free_port(), processes.free_port()
        self._archive = archive
        self._running = contextlib.ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """LDAPS; its certificate knows it by this name alone."""
        return f"ldaps://localhost:{self.tls_port}"

    @property
    def _configuration(self) -> Path:
        return self.folder / f"etc/dirsrv/slapd-{NAME}"

    def settings(self, **changes: object) -> DirectorySettings:
        """How the gateway reaches it, as the service account."""
        values: dict[str, object] = {
            "name": "corp",
            "kind": "ds389",
            "servers": (self.address,),
            "ca": self._configuration / "ca.crt",
            "bind_dn": SERVICE_DN,
            "bind_password": SecretStr(SERVICE_PASSWORD),
            "base": PEOPLE,
            "id_attribute": "nsUniqueId",
            "protected_groups": (f"cn=administrators,{GROUPS}",),
            "trusted_attributes": ("mail",),
        }
        return DirectorySettings.model_validate(values | changes)

    def start(self) -> Self:
        """Unpack and start."""
        subprocess.run(["tar", "--extract", "--file", self._archive, "--directory", self.folder], check=True)
        for name in ("run", "lock", "log", "tmp"):
            (self.folder / name).mkdir()
        self._point_at_folder()
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, "dirsrv", "dirsrv")
        command: list[str | Path] = [
            *("/usr/sbin/ns-slapd", "-d", "0"),
            *("-D", self._configuration, "-i", self.folder / "run/pid"),
        ]
        self._process = self._running.enter_context(
            processes.running(
                command, log=self.folder / "log/output", ready=lambda: processes.answers(self.tls_port)
            )
        )
        return self

    def _point_at_folder(self) -> None:
        """Write the folder and the ports into the configuration, which knows only absolute paths."""
        path = self._configuration / "dse.ldif"
        places = {
            f"/etc/dirsrv/slapd-{NAME}": str(self._configuration),
            f"/var/lib/dirsrv/slapd-{NAME}": f"{self.folder}/var/lib/dirsrv/slapd-{NAME}",
            f"/var/log/dirsrv/slapd-{NAME}": f"{self.folder}/log",
            f"/run/lock/dirsrv/slapd-{NAME}": f"{self.folder}/lock",
            f"/var/lock/dirsrv/slapd-{NAME}": f"{self.folder}/lock",
            f"/dev/shm/slapd-{NAME}": f"{self.folder}/tmp",
            f"/run/slapd-{NAME}.socket": f"{self.folder}/run/socket",
            "nsslapd-rundir: /run/dirsrv": f"nsslapd-rundir: {self.folder}/run",
            "nsslapd-port: 4389": f"nsslapd-port: {self.port}\n"
            "nsslapd-listenhost: 127.0.0.1\nnsslapd-securelistenhost: 127.0.0.1",
            "nsslapd-securePort: 4636": f"nsslapd-securePort: {self.tls_port}",
        }
        text = path.read_text().replace("\n ", "")
        for old, new in places.items():
            text = text.replace(old, new)
        # Groups in which somebody is, at the person; off unless asked for.
        text = re.sub(
            r"(dn: cn=MemberOf Plugin,(?:.+\n)*?nsslapd-pluginEnabled: )off",
            r"\1on",
            text,
            flags=re.IGNORECASE,
        )
        path.write_text(text)

    def stop(self) -> None:
        """Stop it."""
        self._signal(signal.SIGCONT)
        self._running.close()

    def kill(self) -> None:
        """Stop it at once; what it kept is not needed any more."""
        self._signal(signal.SIGKILL)
        self._running.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def version(self) -> str:
        """What the server says it is."""
        with self.as_root() as root:
            root.search("", "(objectClass=*)", ldap3.BASE, attributes=["vendorVersion"])
            stated: str = root.response[0]["raw_attributes"]["vendorVersion"][0].decode()
        return stated.partition("/")[2].split()[0]

    @contextlib.contextmanager
    def as_root(self) -> Iterator[ldap3.Connection]:
        """Bind as the Directory Manager: for arranging and looking."""
        server = ldap3.Server("127.0.0.1", self.port, get_info=ldap3.NONE)
        connection = ldap3.Connection(server, ROOT_DN, ROOT_PASSWORD, auto_bind=ldap3.AUTO_BIND_NO_TLS)
        try:
            yield connection
        finally:
            connection.unbind()

    def begin_again(self) -> None:
        """Delete everything, then make the demo's people, the service account, its rights and the policy."""
        with self.as_root() as root:
            _configure(root, passwordCheckSyntax="off", passwordMustChange="off", passwordMinAge="0")
            # The server's own choice takes a hundred times as long, with every write and every bind.
            _configure(root, passwordStorageScheme="SSHA512")
            _empty(root)
            for unit in ("people", "groups"):
                _done(root, root.add(f"ou={unit},{SUFFIX}", ["organizationalUnit"]))
            ldif.apply(root, RECIPE)
            for uid in NAMES:
                _done(root, root.add(dn_of(uid), ["inetOrgPerson"], _person(uid)))
            for group, members in _members().items():
                _done(root, root.add(f"cn={group},{GROUPS}", ["groupOfNames"], {"member": members}))
            _configure(root, **dict.fromkeys(OTHER_POLICY, "0"), **dict.fromkeys(SWITCHES, "off"), **POLICY)

    def configure(self, **policy: str) -> None:
        """Change the global password policy."""
        with self.as_root() as root:
            _configure(root, **policy)

    def add_local_policy(self, **policy: str) -> None:
        """Give the people's branch a policy of its own, the way that 389-ds's own tools do."""
        container = f"cn=nsPwPolicyContainer,{PEOPLE}"
        # The branch's own name is a part of theirs.
        branch = f",{PEOPLE}".replace(",", r"\2C").replace("=", r"\3D")
        policy_dn = rf"cn=cn\3DnsPwPolicyEntry{branch},{container}"
        template = rf"cn=cn\3DnsPwTemplateEntry{branch},{container}"
        self.add(container, ["nsContainer"], cn="nsPwPolicyContainer")
        self.add(policy_dn, ["ldapsubentry", "passwordPolicy"], **policy)
        classes = ["extensibleObject", "costemplate", "ldapsubentry"]
        self.add(template, classes, cosPriority="1", pwdPolicySubentry=policy_dn)
        self.add(
            f"cn=nsPwPolicy_CoS,{PEOPLE}",
            ["ldapsubentry", "cosSuperDefinition", "cosPointerDefinition"],
            costemplatedn=template,
            cosAttribute="pwdPolicySubentry default operational-default",
        )

    def change(self, dn: str, **attributes: Sequence[str] | str) -> None:
        """Replace attributes; an empty list removes."""
        changes = {
            name: [(ldap3.MODIFY_REPLACE, [value] if isinstance(value, str) else list(value))]
            for name, value in attributes.items()
        }
        with self.as_root() as root:
            _done(root, root.modify(dn, changes))

    def add(self, dn: str, classes: Sequence[str], **attributes: Sequence[str] | str) -> None:
        """Add an entry."""
        with self.as_root() as root:
            _done(root, root.add(dn, list(classes), attributes))

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        with self.as_root() as root:
            _done(root, root.delete(dn))

    def read(self, dn: str) -> dict[str, list[str]]:
        """Return an entry with its operational attributes."""
        with self.as_root() as root:
            root.search(dn, "(objectClass=*)", ldap3.BASE, attributes=["*", "+"])
            raw = root.response[0]["raw_attributes"]
        return {name: [value.decode(errors="replace") for value in values] for name, values in raw.items()}


def _done(connection: ldap3.Connection, is_done: bool) -> None:
    assert is_done, connection.result


def _configure(root: ldap3.Connection, **policy: str) -> None:
    changes = {name: [(ldap3.MODIFY_REPLACE, [value])] for name, value in policy.items()}
    _done(root, root.modify("cn=config", changes))


def _empty(root: ldap3.Connection) -> None:
    # The configuration first: rights are only added by the recipe.
    for dn in _CONFIGURED:
        root.modify(dn, {"aci": [(ldap3.MODIFY_REPLACE, [])]})
    root.search(SUFFIX, "(|(objectClass=*)(objectClass=ldapsubentry))", attributes=["1.1"])
    found = [item["dn"] for item in root.response if item["dn"].lower() != SUFFIX]
    for dn in sorted(found, key=len, reverse=True):
        _done(root, root.delete(dn))


def _person(uid: str) -> Mapping[str, str]:
    return {
        "uid": uid,
        "cn": f"{uid.title()} Test",
        "sn": "Test",
        "mail": f"{uid}@example.org",
        "userPassword": password_of(uid),
    }


def _members() -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for uid in NAMES:
        for group in _GROUPS_OF.get(uid, ("staff",)):
            groups.setdefault(group, []).append(dn_of(uid))
    return groups


def written(moment: dt.datetime) -> str:
    """Return a moment as the server writes it."""
    return f"{moment:%Y%m%d%H%M%SZ}"


@pytest.fixture(scope="session")
def ds389_server(report_version: ReportVersion) -> Iterator[Ds389]:
    """The one server of this worker."""
    with processes.reachable_folder("ds389") as folder:
        server = Ds389(ds389_build.archive(), folder)
        try:
            server.start()
            report_version("389-ds", server.version())
            yield server
        finally:
            server.stop()


@pytest.fixture
def ds389(ds389_server: Ds389) -> Ds389:
    """The server with the demo's people; passwords such as `Alice-Passw0rd`."""
    with contextlib.suppress(LDAPExceptionError):
        ds389_server.begin_again()
        return ds389_server
    raise RuntimeError(processes.tail(ds389_server.folder / "log/errors"))
