"""What we compare with: nginx and Apache that only carry, and the ordinary way to write it in Python."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import TESTED_CORE, Service, service
from tests.servers.processes import answers, free_port

ENVIRONMENT = Path(__file__).parents[1] / ".cache/bench/bin"

NGINX = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log {log};
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_buffer_size 16k;
  proxy_buffers 8 16k;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{port} backlog=2048; location / {{ proxy_pass http://provider; }} }}
}}
"""

APACHE = """\
ServerRoot /usr/lib/apache2
PidFile {folder}/pid
ErrorLog {folder}/error.log
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
ProxyPass / http://127.0.0.1:{upstream}/ keepalive=On
ProxyPreserveHost On
"""


@contextlib.contextmanager
def nginx(folder: Path, upstream: int, *, log: bool = False) -> Iterator[Service]:
    """`proxy_pass` with keep-alive, without a log or with the one that is usual."""
    folder.mkdir()
    port = free_port()
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    lines = f"{folder}/access.log combined buffer=64k flush=1s" if log else "off"
    configuration.write_text(NGINX.format(user=user, folder=folder, port=port, upstream=upstream, log=lines))
    command = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", configuration]
    name = "nginx proxy_pass, with its log" if log else "nginx proxy_pass"
    with _tested(name, command, port, folder) as running:
        yield running


@contextlib.contextmanager
def apache(folder: Path, upstream: int) -> Iterator[Service]:
    """`mod_proxy` with keep-alive, no log."""
    folder.mkdir()
    port = free_port()
    configuration = folder / "apache.conf"
    configuration.write_text(APACHE.format(folder=folder, port=port, upstream=upstream))
    with _tested(
        "Apache mod_proxy", ["apache2", "-f", configuration, "-DFOREGROUND"], port, folder
    ) as running:
        yield running


@contextlib.contextmanager
def ordinary(folder: Path, upstream: int) -> Iterator[Service]:
    """Flask and urllib3 under gunicorn, as one would write it first; puts the link in, keeps no books."""
    folder.mkdir()
    port = free_port()
    command = [ENVIRONMENT / "gunicorn", "--no-control-socket", "--chdir", Path(__file__).parent]
    command += ["-b", f"127.0.0.1:{port}", "-w", "1", "-k", "gthread", "--threads", "4", "ordinary_proxy:app"]
    environment = {"UPSTREAM": f"http://127.0.0.1:{upstream}"}
    with _tested("gunicorn + Flask + urllib3", command, port, folder, environment) as running:
        yield running


@contextlib.contextmanager
def _tested(
    name: str,
    command: list[str | Path],
    port: int,
    folder: Path,
    environment: dict[str, str] | None = None,
) -> Iterator[Service]:
    with service(
        name,
        command,
        port=port,
        core=TESTED_CORE,
        log=folder / "log",
        ready=lambda: answers(port),
        environment=environment,
    ) as running:
        yield running
