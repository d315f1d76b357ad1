"""An application behind a proxy that lets nobody in unasked: with Sparekey, and with mod_auth_openidc."""

import contextlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.gateway import COUNTED, PROGRAM
from benchmarks.harness import LOAD_CORE, TESTED_CORE, Service, Unfit, service
from benchmarks.whole_gateway import whole_gateway
from gateway.data_plane.nginx import Places
from tests.servers.processes import answers, free_port
from tests.servers.visitor import Visitor, forms

PERSON = "bob"
MARK = '{"application": "reached"'
BODY = MARK + ', "padding": "' + "x" * 60 + '"}'
PROXY_FILE = Path(__file__).parents[1] / "deploy/forward-auth/nginx.conf"

NGINX = """\
{before}
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 600s;
  tcp_nodelay on;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{inside}
}}
"""

PLAIN = """\
  upstream wiki {{ server 127.0.0.1:{application}; keepalive 32; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_set_header Forwarded "";
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto http;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_http_version 1.1;
      proxy_pass http://wiki;
    }}
  }}
"""
LUA = "\n".join(
    f"load_module {Places().modules / name};" for name in ("ndk_http_module.so", "ngx_http_lua_module.so")
)

# What the module's manual asks for, its session in shared memory; nothing else is loaded.
APACHE = """\
ServerRoot /usr/lib/apache2
PidFile {folder}/pid
ErrorLog {folder}/error.log
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule authn_core_module modules/mod_authn_core.so
LoadModule authz_core_module modules/mod_authz_core.so
LoadModule authz_user_module modules/mod_authz_user.so
LoadModule proxy_module modules/mod_proxy.so
LoadModule proxy_http_module modules/mod_proxy_http.so
LoadModule auth_openidc_module modules/mod_auth_openidc.so
StartServers 1
ServerLimit 1
ThreadsPerChild 64
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 600
OIDCProviderMetadataURL {provider}/.well-known/openid-configuration
OIDCClientID {client}
OIDCClientSecret {secret}
OIDCCryptoPassphrase {passphrase}
OIDCRedirectURI http://127.0.0.1:{port}/callback
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCSessionType server-cache
OIDCCacheType shm
OIDCSessionInactivityTimeout 86400
OIDCSessionMaxDuration 86400
<Location />
  AuthType openid-connect
  Require valid-user
</Location>
ProxyPass /callback !
ProxyPass / http://127.0.0.1:{application}/ keepalive=On
ProxyPreserveHost On
"""


@dataclass(frozen=True, slots=True)
class Guarded:
    """A proxy in front of the application, and somebody whom it lets in."""

    service: Service
    cookie: str
    """What a signed-in browser sends."""
    asked: tuple[Service, ...] = ()
    """What the proxy asks, with whatever that needs."""
    questions: Callable[[], int] = lambda: 0
    """Return how often it was asked."""

    def check(self) -> None:
        """Make sure that the person gets in, and nobody else does.

        Raises:
            Unfit: Otherwise.
        """
        address = f"http://127.0.0.1:{self.service.port}/"
        let_in = httpx.get(address, headers={"Cookie": self.cookie}, trust_env=False)
        if let_in.status_code != 200 or MARK not in let_in.text:
            raise Unfit(f"{self.service.name}: {let_in.status_code} for somebody who is signed in")
        if self.cookie and httpx.get(address, trust_env=False).status_code not in {302, 401}:
            raise Unfit(f"{self.service.name}: lets strangers in")


@contextlib.contextmanager
def application(folder: Path) -> Iterator[int]:
    """Serve about a hundred bytes of JSON; yields the port."""
    port = free_port()
    inside = f"""  server {{
    listen 127.0.0.1:{port};
    location / {{ default_type application/json; return 200 '{BODY}'; }}
  }}"""
    with _nginx(folder, "application", inside, port, core=LOAD_CORE):
        yield port


@contextlib.contextmanager
def unguarded(folder: Path, upstream: int) -> Iterator[Guarded]:
    """Only nginx."""
    port = free_port()
    inside = PLAIN.format(application=upstream, port=port)
    with _nginx(folder, "nginx without auth", inside, port) as proxy:
        yield Guarded(proxy, "")


@contextlib.contextmanager
def sparekey(folder: Path, upstream: int, name: str, revoked_within_ms: int) -> Iterator[Guarded]:
    """Serve `deploy/forward-auth/nginx.conf`, without its TLS, in front of `sparekey serve`."""
    port, asked_at = free_port(), free_port()
    origin = f"http://127.0.0.1:{port}"
    environment = _forward_auth(origin, asked_at, revoked_within_ms)
    lines = PROXY_FILE.read_text("utf-8").splitlines()
    inside = "\n".join(line for line in lines if "ssl_certificate" not in line)
    for written, ours in {
        "listen 443 ssl": f"listen 127.0.0.1:{port}",
        "https://wiki.example.org": origin,
        "127.0.0.1:9091": f"127.0.0.1:{asked_at}",
        "127.0.0.1:8000": f"127.0.0.1:{upstream}",
    }.items():
        inside = inside.replace(written, ours)
    folder.mkdir(parents=True)
    with (
        whole_gateway(folder / "gateway", environment=environment) as (gateway, _),
        _nginx(folder / "nginx", name, inside, port) as proxy,
    ):
        yield Guarded(proxy, _sign_in(f"{origin}/", _password(folder), "sparekey-application"), (gateway,))


def _forward_auth(origin: str, asked_at: int, revoked_within_ms: int) -> dict[str, str]:
    return {
        "SPAREKEY_FORWARD_AUTH__LISTEN": f"127.0.0.1:{asked_at}",
        "SPAREKEY_FORWARD_AUTH__APPLICATIONS": json.dumps([origin]),
        "SPAREKEY_FORWARD_AUTH__PROXIES": json.dumps([{"address": "127.0.0.1", "states": "x_original"}]),
        "SPAREKEY_FORWARD_AUTH__REVOKED_WITHIN_MS": str(revoked_within_ms),
    }


def _password(folder: Path) -> str:
    passwords = json.loads((folder / "gateway" / "organisation.json").read_text())["passwords"]
    return str(passwords[PERSON])


def _counted(operations: str) -> int:
    """Return how many requests a gateway counted."""
    lines = httpx.get(f"http://{operations}/sparekey/metrics", trust_env=False).text.splitlines()
    return round(sum(float(line.split()[-1]) for line in lines if line.startswith(COUNTED)))


@contextlib.contextmanager
def natively(folder: Path, upstream: int, name: str) -> Iterator[Guarded]:
    """Serve what `sparekey data-plane applications` prints, in front of `sparekey serve`."""
    port, asked_at = free_port(), free_port()
    origin = f"http://localhost:{port}"
    environment = {
        **_forward_auth(origin, asked_at, revoked_within_ms=250),
        "SPAREKEY_GATEWAY__DATA_PLANE_SOCKET": str(folder / "edge.sock"),
    }
    folder.mkdir(parents=True)
    with whole_gateway(folder / "gateway", environment=environment) as (gateway, settings):
        command: list[str | Path] = [
            *(PROGRAM, "data-plane", "applications", "--settings", folder / "gateway" / "sparekey.toml"),
            *("--listen", f"127.0.0.1:{port}", "--guard", origin, f"http://127.0.0.1:{upstream}"),
        ]
        printed = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
        )
        with _nginx(folder / "nginx", name, printed.stdout, port, before=LUA) as proxy:
            cookie = _sign_in(f"{origin}/", _password(folder), "sparekey-application")
            operations = settings.gateway.operations
            yield Guarded(proxy, cookie, (gateway,), lambda: _counted(operations))


@contextlib.contextmanager
def mod_auth_openidc(folder: Path, upstream: int) -> Iterator[Guarded]:
    """Serve Apache with Debian's module."""
    folder.mkdir(parents=True)
    port, secret = free_port(), secrets.token_urlsafe(24)
    ready = folder / "provider.json"
    command = [sys.executable, "-m", "benchmarks.openid_provider", str(folder), f"http://127.0.0.1:{port}"]
    with service(
        "provider",
        command,
        port=0,
        core=LOAD_CORE,
        log=folder / "provider.log",
        ready=ready.exists,
        environment={"CLIENT_SECRET": secret},
    ):
        told = json.loads(ready.read_text())
        configuration = folder / "apache.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            APACHE.format(
                folder=folder,
                port=port,
                application=upstream,
                provider=told["issuer"],
                client=told["client"],
                secret=secret,
                passphrase=secrets.token_urlsafe(24),
            )
        )
        with service(
            "mod_auth_openidc",
            ["apache2", "-f", configuration, "-DFOREGROUND"],
            port=port,
            core=TESTED_CORE,
            log=folder / "log",
            ready=lambda: answers(port),
        ) as apache:
            cookie = _sign_in(f"http://127.0.0.1:{port}/", told["passwords"][PERSON], "mod_auth_openidc")
            yield Guarded(apache, cookie)


@contextlib.contextmanager
def _nginx(
    folder: Path, name: str, inside: str, port: int, *, core: int = TESTED_CORE, before: str = ""
) -> Iterator[Service]:
    folder.mkdir(parents=True)
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(NGINX.format(before=before, user=user, folder=folder, inside=inside))
    command: list[str | Path] = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", configuration]
    with service(
        name, command, port=port, core=core, log=folder / "log", ready=lambda: answers(port)
    ) as running:
        yield running


def _sign_in(address: str, password: str, family: str) -> str:
    """Sign somebody in as a browser would; returns the cookies that begin so, as a browser sends them."""
    visitor = Visitor()
    visitor.client.headers["Accept"] = "text/html"
    page = visitor.follow(visitor.get(address))
    form = forms(page)[0]
    fields = {**form.fields, "username": PERSON, "password": password}
    arrived = visitor.follow(visitor.post(form.action, fields))
    if MARK not in arrived.text:
        raise Unfit(f"the sign-in ended at {arrived.url}")
    found = {name: value for (_, _, name), value in visitor.cookies.items() if name.startswith(family)}
    return "; ".join(f"{name}={value}" for name, value in found.items())
