import datetime as dt

import pytest

from gateway.forward_auth.application_session import ApplicationSession
from gateway.forward_auth.identity_fields import identity_fields
from idp_plugin.base import Subject

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def fields(username: str = "bob", name: str = "", groups: tuple[str, ...] = ()) -> list[bytes]:
    session = ApplicationSession(
        host="wiki.example.org",
        subject=Subject("https://sso.example.org", "s-1"),
        idp_session="sid",
        username=username,
        display_name=name,
        email="",
        groups=frozenset(groups),
        signed_in_at=NOW,
        expires_at=NOW,
    )
    begin, *lines = identity_fields(session).split(b"\r\n")
    assert begin == b""
    return lines


def test_every_field_is_there_even_where_nothing_is_known() -> None:
    # Whatever is missing would leave what the browser sent, behind a proxy that copies only what comes.
    assert fields("") == [b"Remote-User: s-1", b"Remote-Name: ", b"Remote-Email: ", b"Remote-Groups: "]


def test_letters_of_every_language_stand_as_they_are() -> None:
    assert fields(name="Zoë Ångström 王")[1] == "Remote-Name: Zoë Ångström 王".encode()


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ("a\r\nRemote-Groups: admins", b"a%0D%0ARemote-Groups: admins"),
        ("a\x00b\x7f", b"a%00b%7F"),
        ("admin ", b"admin%20"),
        ("\u00a0admin", b"%C2%A0admin"),
        ("\x85admin", b"%C2%85admin"),
        ("admin%20", b"admin%2520"),
        ("a\u2028b", b"a%E2%80%A8b"),
        ("\ud800", b"%ED%A0%80"),
    ],
)
def test_nobody_chooses_a_name_that_ends_a_field_or_reads_as_anothers(chosen: str, told: bytes) -> None:
    assert fields(chosen)[0] == b"Remote-User: " + told
    assert len(fields(chosen, chosen, (chosen,))) == 4


def test_the_name_of_a_group_is_one_group() -> None:
    assert fields(groups=("staff", "x,admins", " admins"))[3] == b"Remote-Groups: %20admins,staff,x%2Cadmins"
