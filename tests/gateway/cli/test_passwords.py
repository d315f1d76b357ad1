"""`sparekey passwords` as operators run it."""

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.check import command as check
from gateway.cli.passwords import command

SETTINGS = """
[gateway]
public = "https://sso.example.org"
[idp]
address = "http://127.0.0.1:1"
issuer = "https://sso.example.org/realms/corp"
client_secret = "s"
[[directories]]
name = "corp"
servers = ["ldaps://127.0.0.1:1"]
ca = "directory-ca.pem"
bind_dn = "cn=sparekey"
bind_password = "s"
base = "dc=example"
[vault]
keys = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
[policies]
file = "policies.toml"
[messages.mail]
organisation = "Contoso"
[passwords.banned]
terms = ["blank"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "sparekey.toml"
    file.write_text(SETTINGS)
    return file


def rules_on(settings: Path, given: str, *more: str) -> Result:
    arguments = ["test", "--settings", str(settings), *more]
    return CliRunner().invoke(command, arguments, input=given, catch_exceptions=False)


def test_every_finding_and_the_working_are_told(settings: Path) -> None:
    told = rules_on(settings, "C0ntos0Bl@nk12\n")
    assert told.exit_code == 1
    assert "holds   At least 8 characters" in told.output
    assert "BROKEN  More than a common word or the name of your organisation" in told.output
    assert "[Contoso] 1 + [blank] 1 + 2 other characters 2 = 4 of 5 points" in told.output


def test_a_good_password_exits_well(settings: Path) -> None:
    told = rules_on(settings, "four words not together")
    assert told.exit_code == 0
    assert "Very hard to guess." in told.output


def test_the_password_itself_is_not_repeated(settings: Path) -> None:
    assert "ZebraCrossing" not in rules_on(settings, "ZebraCrossing77").output


def test_a_near_match_is_explained(settings: Path) -> None:
    told = rules_on(settings, "conto5o")
    assert "1 point of 5: the whole is “Contoso”, or one character away from it" in told.output


def test_given_names_may_not_be_in_it(settings: Path) -> None:
    told = rules_on(settings, "my p0ll is open now", "--name", "Poll")
    assert "BROKEN  Nothing of your name, user name or e-mail address" in told.output


def test_the_password_is_no_argument(settings: Path) -> None:
    told = CliRunner().invoke(command, ["test", "--settings", str(settings), "secret"])
    assert told.exit_code == 2


@pytest.mark.parametrize("given", ["", "\n", "\x00\n", "x" * 10_000, "e\u0301" * 300])
def test_odd_input_is_judged_too(settings: Path, given: str) -> None:
    assert rules_on(settings, given).exit_code == 1


def test_a_breach_list_is_built_measured_and_used(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "digests").write_text(f"{hashlib.sha1(b'four words of a leak').hexdigest()}:7\nrubbish\n")
    made = CliRunner().invoke(
        command,
        ["build-breach-list", str(tmp_path / "digests"), str(tmp_path / "list")],
        catch_exceptions=False,
    )
    assert made.exit_code == 0
    assert "1 digests became 1 entries" in made.output
    assert "false positives: 0.0000% measured" in made.output
    assert "1 lines were none of such a list" in made.output
    settings.write_text(f'{SETTINGS}[passwords.breaches]\nsource = "list"\npath = "{tmp_path / "list"}"\n')
    assert "BROKEN  No leak elsewhere" in rules_on(settings, "four words of a leak").output
    assert rules_on(settings, "four words of nobody").exit_code == 0


def test_a_list_that_is_none_is_told(settings: Path, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("not a list")
    settings.write_text(f'{SETTINGS}[passwords.breaches]\nsource = "list"\npath = "{tmp_path / "list"}"\n')
    told = rules_on(settings, "four words not together")
    assert told.exit_code == 1
    assert "passwords.breaches.path: not a breach list, or not whole" in told.output


@pytest.mark.parametrize(
    ("source", "problem"), [("list", "No such file or directory"), ("ranges", "is not a folder")]
)
def test_the_check_tells_of_a_source_that_cannot_be_read(settings: Path, source: str, problem: str) -> None:
    settings.write_text(f'{SETTINGS}[passwords.breaches]\nsource = "{source}"\npath = "/nowhere/at/all"\n')
    told = CliRunner().invoke(check, ["--settings", str(settings)])
    assert f"PROBLEM  passwords.breaches.path: {problem}" in told.output


def test_the_check_is_content_without_a_source(settings: Path) -> None:
    assert "passwords" not in CliRunner().invoke(check, ["--settings", str(settings)]).output
