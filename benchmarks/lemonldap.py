"""LemonLDAP::NG as Debian has it: its portal behind nginx, people and passwords in an OpenLDAP server."""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import LOAD_CORE, TESTED_CORE, Service, service
from tests.servers.processes import answers, free_port
from tests.servers.slapd import SERVICE_DN, SERVICE_PASSWORD, Slapd

PROGRAM = Path("/usr/sbin/llng-fastcgi-server")
PORTAL = Path("/usr/share/lemonldap-ng/portal")
_ITSELF = ("--proc", "4", "--user", "www-data", "--group", "www-data")
"""It does not run as root."""
SESSIONS = ("sessions", "sessions/lock", "psessions", "psessions/lock", "cache", "conf")

INI = """\
[all]
logLevel = warn
[configuration]
type = File
dirName = {folder}/conf
localStorage = Cache::FileCache
localStorageOptions = {{ 'namespace' => 'config', 'cache_root' => '{folder}/cache' }}
[portal]
staticPrefix = /static
templateDir = {portal}/templates
languages = en
[handler]
"""

NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {portal}/htdocs;
    if ($uri !~ ^/((static|javascript|favicon).*|.*\\.psgi)) {{ rewrite ^/(.*)$ /index.psgi/$1 break; }}
    location ~ ^(?<sc>/.*\\.psgi)(?:$|/) {{
      include /etc/nginx/fastcgi_params;
      fastcgi_pass unix:{folder}/socket;
      fastcgi_param HTTP_HOST $http_host;
      fastcgi_param LLTYPE psgi;
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_split_path_info ^(.*\\.psgi)(/.*)$;
      fastcgi_param PATH_INFO $fastcgi_path_info;
    }}
    location /static/ {{ alias {portal}/htdocs/static/; }}
  }}
}}
"""


@contextlib.contextmanager
def lemonldap(folder: Path, slapd: Slapd, mail: int) -> Iterator[tuple[Service, Service]]:
    """Start the portal and the nginx in front of it; both are counted."""
    for name in SESSIONS:
        (folder / name).mkdir(parents=True)
    port = free_port()
    (folder / "conf/lmConf-1.json").write_text(json.dumps(_configuration(folder, slapd, mail, port)))
    (folder / "lemonldap-ng.ini").write_text(INI.format(folder=folder, portal=PORTAL))
    _give_away(folder)
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(NGINX.format(user=user, folder=folder, port=port, portal=PORTAL))
    portal = service(
        "LemonLDAP::NG",
        [PROGRAM, "--foreground", *_ITSELF, "--socket", folder / "socket", "--pid", folder / "portal.pid"],
        port=port,
        core=TESTED_CORE,
        log=folder / "portal.log",
        ready=(folder / "socket").exists,
        environment={
            "LLNG_DEFAULTCONFFILE": str(folder / "lemonldap-ng.ini"),
            "LLNG_DEFAULTLOGGER": "Lemonldap::NG::Common::Logger::Std",
        },
    )
    front = service(
        "nginx before LemonLDAP::NG",
        ["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"],
        port=port,
        core=LOAD_CORE,
        log=folder / "nginx.log",
        ready=lambda: answers(port),
    )
    with portal as running, front as carrying:
        yield running, carrying


def _give_away(folder: Path) -> None:
    """Let the portal's own user in."""
    for each in (folder, *folder.rglob("*")):
        shutil.chown(each, "www-data", "www-data")
    for parent in (folder.parent, folder.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o011)


def _configuration(folder: Path, slapd: Slapd, mail: int, port: int) -> dict[str, object]:
    def storage(name: str) -> dict[str, str]:
        return {
            "Directory": str(folder / name),
            "LockDirectory": str(folder / name / "lock"),
            "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256",
        }

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
        "globalStorage": "Apache::Session::File",
        "globalStorageOptions": storage("sessions"),
        "persistentStorage": "Apache::Session::File",
        "persistentStorageOptions": storage("psessions"),
        "localSessionStorage": "Cache::FileCache",
        "localSessionStorageOptions": {"namespace": "sessions", "cache_root": str(folder / "cache")},
        "locationRules": {"127.0.0.1": {"default": "accept"}},
        "exportedHeaders": {},
        "whatToTrace": "uid",
    }
