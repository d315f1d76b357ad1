"""Identifiers and access lists as bytes: read right, or not at all."""

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp_plugin.ldap.security_descriptor import (
    CONTROL_ACCESS,
    EVERYONE,
    SELF,
    WRITE_PROPERTY,
    MalformedDescriptor,
    access_list,
    first_word,
    relative_id,
    security_id,
)

RIGHT = uuid.UUID("ab721a53-1e2f-11d0-9819-00aa0040529b")
OTHER = uuid.UUID("00299570-246d-11d0-a768-00aa006e0529")
WORLD = bytes.fromhex("010100000000000100000000")
OWN = bytes.fromhex("01010000000000050a000000")
ALLOW, DENY, ALLOW_OBJECT, DENY_OBJECT = 0, 1, 5, 6
INHERIT_ONLY = 8


def entry(
    kind: int,
    mask: int = CONTROL_ACCESS,
    who: bytes = WORLD,
    *,
    flags: int = 0,
    right: uuid.UUID | None = None,
    inherited: uuid.UUID | None = None,
) -> bytes:
    ids = b"".join(each.bytes_le for each in (right, inherited) if each)
    present = (1 if right else 0) | (2 if inherited else 0)
    about = struct.pack("<I", present) + ids if kind in {ALLOW_OBJECT, DENY_OBJECT} else b""
    return struct.pack("<BBHI", kind, flags, 8 + len(about) + len(who), mask) + about + who


def descriptor(*entries: bytes) -> bytes:
    body = b"".join(entries)
    dacl = struct.pack("<BBHHH", 4, 0, 8 + len(body), len(entries), 0) + body
    return struct.pack("<BBHIIII", 1, 0, 0x8004, 0, 0, 0, 20) + dacl


def test_an_identifier_reads_as_windows_writes_it() -> None:
    raw = bytes.fromhex("010500000000000515000000294510dabb64b5daca437e55f4010000")
    assert security_id(raw) == "S-1-5-21-3658499369-3669320891-1434338250-500"
    assert relative_id(security_id(raw)) == 500
    assert security_id(WORLD) == EVERYONE
    assert security_id(OWN) == SELF


@pytest.mark.parametrize("raw", [b"", b"\x01", WORLD[:-1], WORLD + b"\0", b"\x01\xff" + b"\0" * 20])
def test_what_is_no_identifier_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedDescriptor):
        security_id(raw)


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ([], None),
        ([entry(ALLOW_OBJECT, right=RIGHT)], True),
        ([entry(DENY_OBJECT, right=RIGHT), entry(ALLOW_OBJECT, right=RIGHT)], False),
        ([entry(ALLOW_OBJECT, right=RIGHT), entry(DENY_OBJECT, right=RIGHT)], True),
        ([entry(DENY_OBJECT, right=OTHER)], None),
        ([entry(DENY_OBJECT, right=RIGHT, inherited=OTHER)], False),
        ([entry(DENY_OBJECT, right=RIGHT, flags=INHERIT_ONLY)], None),
        ([entry(DENY_OBJECT, right=RIGHT, who=OWN)], None),
        ([entry(DENY_OBJECT, WRITE_PROPERTY, right=RIGHT)], None),
        # Without a right named, an entry is about all of them.
        ([entry(DENY_OBJECT)], False),
        ([entry(DENY, 0x000F01FF)], False),
        ([entry(ALLOW, 0x10000000)], True),
        ([entry(ALLOW, 0x40000000)], None),
        # Kinds that are not known (audits, conditions) are stepped over.
        ([entry(2), entry(9), entry(ALLOW_OBJECT, right=RIGHT)], True),
    ],
)
def test_the_first_entry_that_is_about_it_decides(entries: list[bytes], word: bool | None) -> None:
    assert first_word(access_list(descriptor(*entries)), CONTROL_ACCESS, RIGHT, {EVERYONE}) is word


def test_no_list_at_all_allows_everything() -> None:
    bare = struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)
    assert access_list(bare) is None
    assert first_word(None, CONTROL_ACCESS, RIGHT, {EVERYONE}) is True


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused_and_nothing_else(raw: bytes) -> None:
    for data in (raw, descriptor(raw), descriptor(entry(DENY_OBJECT, right=RIGHT))[:-1] + raw):
        try:
            entries = access_list(data)
        except MalformedDescriptor:
            continue
        first_word(entries, CONTROL_ACCESS, RIGHT, {EVERYONE, SELF})
