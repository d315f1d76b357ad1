"""What is printed for applications, and what is not because the settings do not fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from tests.servers.settings_file import checked_only, unused_directory, write_settings

WIKI, UPSTREAM = "https://wiki.example.org", "http://127.0.0.1:8000"
FORWARD_AUTH: Mapping[str, Any] = {
    "listen": "127.0.0.1:9091",
    "applications": [WIKI],
    "proxies": [{"address": "127.0.0.1", "states": "x_original"}],
}
CERTIFICATE = ("--certificate", "/etc/ssl/wiki.pem", "--key", "/etc/ssl/wiki.key")


def printed(
    folder: Path,
    *options: str,
    forward_auth: Mapping[str, Any] = FORWARD_AUTH,
    socket: str = "/run/sparekey/edge.sock",
) -> Result:
    sections = checked_only(folder, directories=[unused_directory(folder / "ca.pem", 1)])
    gateway = {**sections["gateway"], **({"data_plane_socket": socket} if socket else {})}
    settings = write_settings(
        folder, "", **{**sections, "gateway": gateway, "forward_auth": dict(forward_auth)}
    )
    return CliRunner().invoke(main, ["data-plane", "applications", "--settings", str(settings), *options])


def test_each_application_has_its_own_certificate_or_the_common_one(tmp_path: Path) -> None:
    notes = "https://notes.example.org"
    told = printed(
        tmp_path,
        *CERTIFICATE,
        *("--guard", WIKI, UPSTREAM, "--guard", notes, "http://notes:80"),
        *("--guard-certificate", notes, "/etc/ssl/notes.pem", "/etc/ssl/notes.key"),
        forward_auth={**FORWARD_AUTH, "applications": [WIKI, notes]},
    )
    assert told.exit_code == 0, told.output
    wiki, its_notes = told.output.split("server_name ")[1:]
    assert "ssl_certificate /etc/ssl/wiki.pem;" in wiki
    assert "ssl_certificate_key /etc/ssl/notes.key;" in its_notes
    assert its_notes.count("https://notes.example.org$request_uri;") == 1
    assert 'sparekey.guard").pass("wiki.example.org")' in wiki


def test_no_secret_is_printed(tmp_path: Path) -> None:
    told = printed(tmp_path, *CERTIFICATE, "--guard", WIKI, UPSTREAM).output
    assert WIKI in told
    settings = (tmp_path / "sparekey.toml").read_text()
    (key,) = [line.split('"')[1] for line in settings.splitlines() if line.startswith("keys")]
    assert key not in told
    assert "not asked here" not in told


@pytest.mark.parametrize(
    ("options", "changes", "said"),
    [
        (CERTIFICATE, {"socket": ""}, "data_plane_socket is not set"),
        (CERTIFICATE, {"forward_auth": {}}, "forward_auth.listen is not set"),
        (
            CERTIFICATE,
            {
                "forward_auth": {
                    **FORWARD_AUTH,
                    "proxies": [{"address": "127.0.0.1", "states": "x_forwarded"}],
                }
            },
            'must hold 127.0.0.1 with states = "x_original"',
        ),
        (
            CERTIFICATE,
            {"forward_auth": {**FORWARD_AUTH, "applications": ["https://other.example.org"]}},
            "https://wiki.example.org is not one of forward_auth.applications",
        ),
        ((), {}, "needs a certificate and a key"),
    ],
)
def test_settings_that_do_not_fit_are_told(
    tmp_path: Path, options: tuple[str, ...], changes: dict[str, Any], said: str
) -> None:
    told = printed(tmp_path, *options, "--guard", WIKI, UPSTREAM, **changes)
    assert told.exit_code == 1
    assert said in told.output


@pytest.mark.parametrize(
    "options",
    [
        ("--guard", WIKI, "https://127.0.0.1:8000"),
        ("--guard", WIKI, "http://127.0.0.1"),
        ("--guard", WIKI, "http://127.0.0.1:8000/below"),
        ("--guard", WIKI, "http://a;b:8000"),
        ("--guard", WIKI, UPSTREAM, "--listen", "443; }"),
        ("--guard", WIKI, UPSTREAM, "--guard-certificate", WIKI, "/etc/ssl/a;b", "/etc/ssl/c"),
    ],
)
def test_options_cannot_break_out_of_their_place(tmp_path: Path, options: tuple[str, ...]) -> None:
    told = printed(tmp_path, *CERTIFICATE, *options)
    assert told.exit_code == 1
    assert "cannot stand in a configuration" in told.output
