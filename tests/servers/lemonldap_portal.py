"""What a portal of LemonLDAP::NG as Debian has it needs on disk, and how it and its nginx are called."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

_PORTAL = Path("/usr/share/lemonldap-ng/portal")
_USER = "www-data"
_FOLDERS = ("sessions", "sessions/lock", "psessions", "psessions/lock", "cache", "conf")

_INI = """\
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

_NGINX = """\
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


def lay_out(folder: Path, configuration: Mapping[str, object], port: int) -> None:
    """Write everything that a portal reads, for an nginx on this port of loopback.

    Args:
        configuration: Its settings, as its manager would store them; see `stored`.
    """
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "conf/lmConf-1.json").write_text(json.dumps(configuration))
    (folder / "lemonldap-ng.ini").write_text(_INI.format(folder=folder, portal=_PORTAL))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_NGINX.format(user=user, folder=folder, port=port, portal=_PORTAL))
    if os.geteuid() == 0:
        for each in (folder, *folder.rglob("*")):
            shutil.chown(each, _USER, _USER)


def stored(folder: Path) -> dict[str, object]:
    """Return the settings that say where it keeps its sessions."""
    return {
        "globalStorage": "Apache::Session::File",
        "globalStorageOptions": _storage(folder / "sessions"),
        "persistentStorage": "Apache::Session::File",
        "persistentStorageOptions": _storage(folder / "psessions"),
        "localSessionStorage": "Cache::FileCache",
        "localSessionStorageOptions": {"namespace": "sessions", "cache_root": str(folder / "cache")},
    }


def _storage(folder: Path) -> dict[str, str]:
    return {
        "Directory": str(folder),
        "LockDirectory": str(folder / "lock"),
        "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256",
    }


def portal_command(program: str | Path, folder: Path, *, processes: int) -> Sequence[str | Path]:
    """Return how the portal is called; it does not run as root."""
    owner = ("--user", _USER, "--group", _USER) if os.geteuid() == 0 else ()
    answering = ("--socket", folder / "socket", "--pid", folder / "portal.pid")
    return [program, "--foreground", "--proc", str(processes), *owner, *answering]


def portal_environment(folder: Path) -> dict[str, str]:
    """Return what the portal is told beside."""
    return {
        "LLNG_DEFAULTCONFFILE": str(folder / "lemonldap-ng.ini"),
        "LLNG_DEFAULTLOGGER": "Lemonldap::NG::Common::Logger::Std",
    }


def nginx_command(program: str | Path, folder: Path) -> Sequence[str | Path]:
    """Return how the nginx in front of it is called."""
    return [program, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
