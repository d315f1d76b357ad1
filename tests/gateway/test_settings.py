"""Settings: three sources, every problem at once, nothing unsafe by default."""

from pathlib import Path
from typing import Any

import pytest

from gateway.settings import SettingsInvalid, from_mapping, load

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def document(**gateway: Any) -> dict[str, Any]:
    return {
        "gateway": {"public": "https://sso.example.org", **gateway},
        "idp": {
            "address": "http://127.0.0.1:1",
            "issuer": "https://sso.example.org",
            "client_secret": "file",
        },
        "directories": [
            {
                "name": "people",
                "servers": ["ldaps://ldap.example.org"],
                "ca": "/etc/ca.pem",
                "bind_dn": "cn=svc",
                "bind_password": "secret",
                "base": "dc=example",
            }
        ],
        "vault": {"keys": [KEY]},
        "policies": {"file": "/etc/policies.toml"},
    }


def problems(given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SettingsInvalid) as invalid:
        from_mapping(given)
    return dict(invalid.value.problems)


def test_a_file_in_the_secrets_directory_overrides_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "idp__client_secret").write_text("from a secret")
    settings = from_mapping(document(), tmp_path)
    assert settings.idp.client_secret.get_secret_value() == "from a secret"


def test_the_environment_overrides_the_secrets_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "idp__client_secret").write_text("from a secret")
    monkeypatch.setenv("SPAREKEY_IDP__CLIENT_SECRET", "from the environment")
    settings = from_mapping(document(), tmp_path)
    assert settings.idp.client_secret.get_secret_value() == "from the environment"


def test_plain_http_is_refused_off_loopback() -> None:
    assert "gateway.public" in problems(document(public="http://sso.example.org"))


def test_plain_http_is_allowed_on_loopback() -> None:
    assert not from_mapping(document(public="http://127.0.0.1:8080")).gateway.is_https


def test_every_problem_is_told_at_once() -> None:
    found = problems(document(public="ftp://x", prefix="no-slash", unknown=1))
    assert set(found) == {"gateway.public", "gateway.prefix", "gateway.unknown"}


def test_nobody_is_a_trusted_proxy_by_default() -> None:
    assert from_mapping(document()).gateway.trusted_proxies == ()


def test_a_directory_password_comes_from_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    given = document()
    given["directories"][0] |= {"bind_password": "", "bind_password_file": str(tmp_path / "password")}
    assert from_mapping(given).directories[0].bind_password.get_secret_value() == "from a file"


def test_an_empty_directory_password_is_refused() -> None:
    given = document()
    given["directories"][0]["bind_password"] = ""
    assert problems(given) == {
        "directories.0.bind_password": "Value error, is needed, here or in bind_password_file"
    }


def test_a_missing_file_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid) as invalid:
        load(tmp_path / "none.toml")
    assert invalid.value.problems == [(str(tmp_path / "none.toml"), "No such file or directory")]


def test_two_directories_are_not_read_by_one_federation() -> None:
    given = document()
    (first,) = given["directories"]
    given["directories"] = [first, {**first, "name": "guests", "federation": "people"}]
    assert "same federation" in str(problems(given))
    given["directories"][1]["federation"] = "visitors"
    assert [each.read_by for each in from_mapping(given).directories] == ["people", "visitors"]


def test_only_keycloak_may_keep_every_password_itself() -> None:
    given = document() | {"directories": []}
    assert "at least one" in str(problems(given))
    given["idp"] = given["idp"] | {"kind": "keycloak"}
    assert from_mapping(given).directories == ()


@pytest.mark.parametrize(
    "applications",
    [
        ["https://sso.example.org"],
        ["https://sso.example.org:8443"],
        ["https://SSO.example.org"],
        ["https://wiki.example.org", "https://wiki.example.org:8443"],
    ],
)
def test_no_two_that_share_cookies_are_guarded_apart(applications: list[str]) -> None:
    assert problems({**document(), "forward_auth": {"applications": applications}})
