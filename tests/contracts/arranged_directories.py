"""The directories under test, each with an administrator's hand in it to arrange what a test needs."""

import datetime as dt
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from idp_plugin.base import Directory, PasswordState, PasswordWriter, Subject
from idp_plugin.demo.directory import GROUPS_BASE, PEOPLE_BASE, DemoDirectory, DemoPasswordPolicy
from idp_plugin.demo.directory_entry import Credential
from idp_plugin.demo.directory_server import DirectoryServer
from idp_plugin.demo.pki import make_certificates
from idp_plugin.demo.servers import directory_settings, fill
from idp_plugin.ldap.active_directory import ActiveDirectory
from idp_plugin.ldap.active_directory_account import ticks
from idp_plugin.ldap.ds389 import Ds389 as Ds389Directory
from idp_plugin.ldap.openldap import OpenLdap
from tests.servers import ds389, samba
from tests.servers import slapd as real

ISSUER = "https://sso.example.org"
NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
NEW = "Quite-New-Passw0rd"
NOBODY = (
    "nobody",
    "*",
    "ali*",
    "alice)(uid=*",
    "*)(objectClass=*",
    "\\61lice",
    "alice\\",
    "(alice)",
    "uid=alice",
    "alice\0",
    "alice\u200f",
    "al\u200bice",
    "alice\n",
    "\ud800",
    "",
    "   ",
    "a" * 10_000,
    "\u0430lice",
)
"""What is nobody's name."""


def dn(username: str) -> str:
    return f"uid={username},{PEOPLE_BASE}"


class Arranged(Directory, PasswordWriter, Protocol):
    """What every adapter does for the suite."""

    def verify_password(self, account: Subject, password: str, /) -> PasswordState: ...


class Arrangement(Protocol):
    """A directory with the demo's people, and an administrator's hand in it."""

    @property
    def directory(self) -> Arranged: ...
    @property
    def passwords(self) -> Mapping[str, str]: ...
    @property
    def age_yields(self) -> bool:
        """Whether an order to change the password ends its minimum age."""

    checks_history: bool
    """Whether the server holds a reset to the history."""
    protected: str
    """The protected group."""
    of_everybody: frozenset[str]
    """Groups that everybody is in without being put there."""

    def lock(self, username: str, since: dt.datetime) -> None: ...
    def close(self, username: str) -> None: ...
    def age(self, username: str, days: int) -> None: ...
    def must_change(self, username: str) -> None: ...
    def minimum_age(self, age: dt.timedelta) -> None: ...
    def put_in_group(self, username: str, group: str) -> None: ...
    def nest(self, inner: str, outer: str) -> None: ...
    def share_mail(self, username: str, other: str) -> None: ...
    def recreate(self, username: str) -> None: ...
    def reader(self) -> Arranged: ...


class _Entries:
    """What is arranged alike wherever entries can be written as they are."""

    _server: real.Slapd | ds389.Ds389

    def put_in_group(self, username: str, group: str) -> None:
        self._server.change(f"cn={group},{GROUPS_BASE}", member=[dn(username)])

    def nest(self, inner: str, outer: str) -> None:
        self._server.change(f"cn={outer},{GROUPS_BASE}", member=[f"cn={inner},{GROUPS_BASE}", dn("erin")])

    def share_mail(self, username: str, other: str) -> None:
        self._server.change(dn(username), mail=f"{other}@example.org")

    def recreate(self, username: str) -> None:
        self._server.delete(dn(username))
        self._server.add(
            dn(username), ["inetOrgPerson"], uid=username, cn=username, sn=username, userPassword=NEW
        )


class Slapd(_Entries):
    """The real one."""

    age_yields = True
    checks_history = True
    protected = "administrators"
    of_everybody: frozenset[str] = frozenset()

    def __init__(self, server: real.Slapd) -> None:
        self._server = server
        self.passwords = {name: person.password for name, person in server.people.items()}
        self.directory = self.reader()

    def reader(self) -> Arranged:
        return OpenLdap(self._server.settings(), ISSUER)

    def lock(self, username: str, since: dt.datetime) -> None:
        self._server.change(dn(username), pwdAccountLockedTime=f"{since:%Y%m%d%H%M%SZ}")

    def close(self, username: str) -> None:
        self._server.change(dn(username), pwdAccountLockedTime="000001010000Z")

    def age(self, username: str, days: int) -> None:
        then = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)
        self._server.change(dn(username), pwdChangedTime=f"{then:%Y%m%d%H%M%SZ}")

    def must_change(self, username: str) -> None:
        self._server.change(dn(username), pwdReset="TRUE")

    def minimum_age(self, age: dt.timedelta) -> None:
        self._server.change(real.POLICY_DN, pwdMinAge=str(int(age.total_seconds())))


class Ds389(_Entries):
    """389 Directory Server."""

    age_yields = False
    checks_history = True
    protected = "administrators"
    of_everybody: frozenset[str] = frozenset()

    def __init__(self, server: ds389.Ds389) -> None:
        self._server = server
        self.passwords = {name: ds389.password_of(name) for name in NAMES}
        self.directory = self.reader()

    def reader(self) -> Arranged:
        return Ds389Directory(self._server.settings(), ISSUER)

    def lock(self, username: str, since: dt.datetime) -> None:
        until = ds389.written(since + dt.timedelta(days=1))
        self._server.change(dn(username), accountUnlockTime=until, passwordRetryCount="5")

    def close(self, username: str) -> None:
        self._server.change(dn(username), nsAccountLock="true")

    def age(self, username: str, days: int) -> None:
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=90 - days)
        self._server.change(dn(username), passwordExpirationTime=ds389.written(ends))

    def must_change(self, username: str) -> None:
        self._server.change(dn(username), passwordExpirationTime=ds389.NEVER_SET)

    def minimum_age(self, age: dt.timedelta) -> None:
        self._server.configure(passwordMinAge=str(int(age.total_seconds())))
        ends = ds389.written(dt.datetime.now(dt.UTC) + age)
        for username in NAMES:
            self._server.change(dn(username), passwordAllowChangeTime=ends)


class Samba:
    """Active Directory."""

    age_yields = True
    checks_history = False
    protected = "protected"
    of_everybody = frozenset({"Domain Users", "Users"})

    def __init__(self, domain: samba.SambaDomain) -> None:
        self._domain = domain
        self.passwords = {name: person.password for name, person in domain.people.items()}
        self.directory = self.reader()

    def reader(self) -> Arranged:
        return ActiveDirectory(self._domain.settings(), ISSUER)

    def lock(self, username: str, since: dt.datetime) -> None:
        self._domain.change(username, lockoutTime=str(ticks(since)))

    def close(self, username: str) -> None:
        self._domain.change(username, userAccountControl=str(samba.DISABLED))

    def age(self, username: str, days: int) -> None:
        self._domain.server.age(self._domain.dn(username), dt.timedelta(days=days))

    def must_change(self, username: str) -> None:
        self._domain.change(username, pwdLastSet="0")

    def minimum_age(self, age: dt.timedelta) -> None:
        self._domain.server.change(samba.DOMAIN, {"minPwdAge": samba.span(age)})

    def put_in_group(self, username: str, group: str) -> None:
        self._domain.join(self._domain.dn(username), self._domain.group(group))

    def nest(self, inner: str, outer: str) -> None:
        self._domain.join(self._domain.group(inner), self._domain.group(outer))

    def share_mail(self, username: str, other: str) -> None:
        self._domain.change(username, mail=f"{other}@example.org")

    def recreate(self, username: str) -> None:
        self._domain.server.delete(self._domain.dn(username))
        self._domain.add_person(username, NEW)


class Demo:
    """The embedded one."""

    age_yields = True
    checks_history = True
    protected = "administrators"
    of_everybody: frozenset[str] = frozenset()

    def __init__(self, folder: Path) -> None:
        self.passwords = {name: f"{name.title()}-Passw0rd" for name in NAMES}
        self._served = DemoDirectory()
        fill(self._served, self.passwords, "svc-Secret-1")
        for name in NAMES:
            self._credential(name).locked_at = None
        certificates = make_certificates(folder)
        self._server = DirectoryServer(self._served, certificates, ("127.0.0.1", 0))
        self._settings = directory_settings(self._server, certificates, "svc-Secret-1")
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.directory = self.reader()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reader(self) -> OpenLdap:
        return OpenLdap(self._settings.model_copy(update={"name": "corp"}), ISSUER)

    def _credential(self, username: str) -> Credential:
        credential = self._served.entry(dn(username)).credential
        assert credential
        return credential

    def lock(self, username: str, since: dt.datetime) -> None:
        self._credential(username).locked_at = since

    def close(self, username: str) -> None:
        self._credential(username).is_locked_permanently = True

    def age(self, username: str, days: int) -> None:
        self._credential(username).changed = dt.datetime.now(dt.UTC) - dt.timedelta(days=days)

    def must_change(self, username: str) -> None:
        self._credential(username).must_change = True

    def minimum_age(self, age: dt.timedelta) -> None:
        self._served.set_policy(DemoPasswordPolicy(minimum_age=age))

    def put_in_group(self, username: str, group: str) -> None:
        self._group(group, [dn(username)])

    def nest(self, inner: str, outer: str) -> None:
        self._group(outer, [f"cn={inner},{GROUPS_BASE}", dn("erin")])

    def _group(self, name: str, members: list[str]) -> None:
        attributes = {"objectClass": ("groupOfNames",), "cn": (name,), "member": members}
        self._served.add(f"cn={name},{GROUPS_BASE}", attributes)

    def share_mail(self, username: str, other: str) -> None:
        entry = self._served.entry(dn(username))
        entry.attributes = {**entry.attributes, "mail": (f"{other}@example.org",)}

    def recreate(self, username: str) -> None:
        self._served.add(dn(username), {"objectClass": ("inetOrgPerson",), "uid": (username,)}, NEW)
