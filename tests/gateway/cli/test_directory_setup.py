"""`sparekey directory`: it prints what `deploy/` says, which the tests' own servers are set up with."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.directory_setup import command
from idp_plugin.ldap.grants.pasted import KINDS, Unquotable, grants
from idp_plugin.settings import DirectorySettings
from idp_plugin.writeback.settings import AgentSettings

DEPLOY = Path(__file__).parents[3] / "deploy"
LDAP = {
    "suffix": "dc=example,dc=org",
    "people": "ou=people,dc=example,dc=org",
    "groups": "ou=groups,dc=example,dc=org",
    "account": "cn=svc-reset,ou=services,dc=example,dc=org",
    "account_name": "svc-reset",
    "password": "svc-Secret-1",
}
DOMAIN = {
    "suffix": "DC=example,DC=test",
    "people": "OU=People,DC=example,DC=test",
    "account": "svc-sparekey",
}
PAGES = {
    "openldap": "openldap.md",
    "ds389": "389-directory-server.md",
    "active_directory": "active-directory.md",
}
OPTIONS = {
    "openldap": LDAP,
    "ds389": LDAP,
    "active_directory": DOMAIN,
}


def blocks(page: str) -> str:
    text = (DEPLOY / page).read_text("utf-8")
    found = re.findall(r"```(?:slapd|ldif|sh|powershell)\n(.*?)```", text, re.DOTALL)
    # Written out there with a variable, here as it was asked for.
    return "\n".join(found).replace('"OU=People,$domain"', "'OU=People,DC=example,DC=test'")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_printed_is_what_the_page_says(kind: str) -> None:
    page = blocks(PAGES[kind])
    for text in grants(kind, OPTIONS[kind]).values():
        for paragraph in text.strip().split("\n\n"):
            assert paragraph in page


def test_nothing_is_left_to_fill_in() -> None:
    for kind in KINDS:
        for text in grants(kind, OPTIONS[kind]).values():
            assert not re.search(r"@\w+@", text)


def test_letters_that_would_change_a_line_are_refused() -> None:
    for letter in "\"'`$\\@\n":
        with pytest.raises(Unquotable, match="people"):
            grants("openldap", {**LDAP, "people": f"ou=a{letter}b,dc=example,dc=org"})


def printed(kind: str, *more: str) -> str:
    places = {
        name: value for name, value in OPTIONS[kind].items() if name not in {"account_name", "password"}
    }
    words = [f"--{name}={value}" for name, value in places.items()]
    server = "--server=ldaps://ldap1.example.org"
    told = CliRunner().invoke(
        command, [f"--kind={kind}", "--name=corp", "--ca=/etc/sparekey/ca.pem", server, *words, *more]
    )
    assert told.exit_code == 0, told.output
    return told.output


def settings_in(text: str) -> str:
    return re.split(r"^# --- \d+\. ", text, flags=re.MULTILINE)[-2].partition("\n")[2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_settings_are_taken_as_they_are(kind: str, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    text = settings_in(printed(kind, "--protected=cn=administrators,dc=example,dc=org"))
    (directory,) = tomllib.loads(text.replace("/etc/sparekey/corp-password", str(password)))["directories"]
    read = DirectorySettings.model_validate(directory)
    assert (read.name, read.kind) == ("corp", kind)
    assert read.protected_groups == ("cn=administrators,dc=example,dc=org",)


def test_an_agents_settings_are_taken_as_they_are(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret\n")
    text = settings_in(printed("active_directory", "--agent"))
    document = tomllib.loads(text.replace("/etc/sparekey/corp-password", str(password)))
    document["channel"] = {"url": "https://sso.example.org/sparekey"}
    agent = AgentSettings.model_validate(document)
    assert agent.directory.bind_dn == "svc-sparekey@example.test"
    assert "protected_groups" in settings_in(printed("openldap"))
    assert "sparekey agent --test-rights" in printed("active_directory", "--agent")


def test_each_account_gets_a_password_of_its_own() -> None:
    found = {re.findall(r"^userPassword: (\S+)$", printed("openldap"), re.MULTILINE)[0] for _ in range(2)}
    assert len(found) == 2
    assert all(len(each) >= 32 for each in found)


def test_whoever_says_nothing_is_asked() -> None:
    answers = ["active_directory", "corp", "/ca.pem", *DOMAIN.values(), "ldaps://dc1.example.test"]
    told = CliRunner().invoke(command, input="\n".join(answers) + "\n")
    assert told.exit_code == 0, told.output
    assert "samba-tool dsacl set" in told.output
    assert shlex.quote("svc-sparekey") in told.output
