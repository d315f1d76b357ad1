"""LemonLDAP::NG as Debian has it: its portal behind nginx, people and passwords in an OpenLDAP server."""

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import LOAD_CORE, TESTED_CORE, Service, service
from tests.servers.lemonldap_portal import (
    lay_out,
    nginx_command,
    portal_command,
    portal_environment,
    stored,
)
from tests.servers.processes import answers, free_port
from tests.servers.slapd import SERVICE_DN, SERVICE_PASSWORD, Slapd

_PROGRAM = "/usr/sbin/llng-fastcgi-server"


@contextlib.contextmanager
def lemonldap(folder: Path, slapd: Slapd, mail: int) -> Iterator[tuple[Service, Service]]:
    """Start the portal and the nginx in front of it; both are counted."""
    port = free_port()
    lay_out(folder, _configuration(folder, slapd, mail, port), port)
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o011)
    portal = service(
        "LemonLDAP::NG",
        portal_command(_PROGRAM, folder, processes=4),
        port=port,
        core=TESTED_CORE,
        log=folder / "portal.log",
        ready=(folder / "socket").exists,
        environment=portal_environment(folder),
    )
    front = service(
        "nginx before LemonLDAP::NG",
        nginx_command("nginx", folder),
        port=port,
        core=LOAD_CORE,
        log=folder / "nginx.log",
        ready=lambda: answers(port),
    )
    with portal as running, front as carrying:
        yield running, carrying


def _configuration(folder: Path, slapd: Slapd, mail: int, port: int) -> dict[str, object]:
    portal = f"http://127.0.0.1:{port}/"
    return {
        "cfgNum": 1,
        "cfgVersion": "2.16.1",
        "cfgAuthor": "bench",
        "cfgDate": "1627287638",
        "domain": "127.0.0.1",
        "cookieName": "lemonldap",
        "key": secrets.token_hex(16),
        "portal": portal,
        "authentication": "LDAP",
        "userDB": "Same",
        "passwordDB": "LDAP",
        "registerDB": "Null",
        "ldapServer": slapd.address,
        "ldapVerify": "none",
        "ldapBase": slapd.settings().base,
        "managerDn": SERVICE_DN,
        "managerPassword": SERVICE_PASSWORD,
        "mailLDAPFilter": "(&(mail=$mail)(objectClass=inetOrgPerson))",
        "ldapExportedVars": {"uid": "uid", "cn": "cn", "mail": "mail"},
        "exportedVars": {},
        "portalDisplayResetPassword": 1,
        "mailUrl": f"{portal}resetpwd",
        "mailFrom": "portal@example.org",
        "mailOnPasswordChange": 0,
        "captcha_mail_enabled": 0,
        "captcha_register_enabled": 0,
        "captcha_login_enabled": 0,
        "SMTPServer": "127.0.0.1",
        "SMTPPort": mail,
        **stored(folder),
        "locationRules": {"127.0.0.1": {"default": "accept"}},
        "exportedHeaders": {},
        "whatToTrace": "uid",
    }
