"""Security identifiers and access lists as Windows writes them into a directory.

Only what is asked of them here: who somebody is, and whether an extended right is allowed or denied.

Source: [MS-DTYP] sections 2.4.2.2 (identifier), 2.4.4 (entries), 2.4.6 (descriptor), 2.5.3.2 (order).
"""

import struct
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass

EVERYONE = "S-1-1-0"
SELF = "S-1-5-10"
AUTHENTICATED = "S-1-5-11"

WRITE_PROPERTY = 0x20
CONTROL_ACCESS = 0x100
_GENERIC_ALL = 0x10000000
_GENERIC_WRITE = 0x40000000
_EVERYTHING_HERE = WRITE_PROPERTY | CONTROL_ACCESS

_ALLOWED, _DENIED, _ALLOWED_OBJECT, _DENIED_OBJECT = 0, 1, 5, 6
_INHERIT_ONLY = 0x08
_DACL_PRESENT = 0x0004


class MalformedDescriptor(Exception):
    """Bytes that are no identifier or no descriptor."""


def security_id(raw: bytes) -> str:
    """Return an identifier as text: `S-1-5-21-…-513`.

    Raises:
        MalformedDescriptor: It is none.
    """
    if len(raw) < 8 or len(raw) != 8 + 4 * raw[1]:
        raise MalformedDescriptor
    authority = int.from_bytes(raw[2:8], "big")
    parts = struct.unpack(f"<{raw[1]}I", raw[8:])
    return "-".join(map(str, ("S", raw[0], authority, *parts)))


def relative_id(identifier: str) -> int:
    """Return its last number, which says who it is within its domain."""
    return int(identifier.rpartition("-")[2])


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One line of an access list."""

    allows: bool
    """Else it denies."""
    mask: int
    right: uuid.UUID | None
    """The extended right or attribute that it is about; None for all."""
    trustee: str
    """Whose."""
    only_inherited: bool
    """It is about what lies below, not about this object."""

    def is_about(self, bit: int, right: uuid.UUID) -> bool:
        """Tell whether it decides over this right on this object."""
        mask = self.mask
        if mask & _GENERIC_ALL:
            mask |= _EVERYTHING_HERE
        if mask & _GENERIC_WRITE:
            mask |= WRITE_PROPERTY
        return not self.only_inherited and bool(mask & bit) and self.right in {None, right}


def access_list(descriptor: bytes) -> tuple[AccessEntry, ...] | None:
    """Read a self-relative descriptor's list; None where it has none, which allows everything.

    Raises:
        MalformedDescriptor: It cannot be read.
    """
    try:
        _, _, control, _, _, _, at = struct.unpack_from("<BBHIIII", descriptor)
        if not control & _DACL_PRESENT or not at:
            return None
        _, _, _, count, _ = struct.unpack_from("<BBHHH", descriptor, at)
        return tuple(_entries(descriptor, at + 8, count))
    except (struct.error, ValueError):
        raise MalformedDescriptor from None


def _entries(data: bytes, at: int, count: int) -> Iterator[AccessEntry]:
    for _ in range(count):
        kind, flags, size = struct.unpack_from("<BBH", data, at)
        if size < 8 or at + size > len(data):
            raise MalformedDescriptor
        if kind in {_ALLOWED, _DENIED, _ALLOWED_OBJECT, _DENIED_OBJECT}:
            yield _entry(data[at : at + size], kind, bool(flags & _INHERIT_ONLY))
        at += size


def _entry(entry: bytes, kind: int, only_inherited: bool) -> AccessEntry:
    (mask,) = struct.unpack_from("<I", entry, 4)
    at, right = 8, None
    if kind in {_ALLOWED_OBJECT, _DENIED_OBJECT}:
        (present,) = struct.unpack_from("<I", entry, at)
        at += 4
        if present & 1:
            right = uuid.UUID(bytes_le=entry[at : at + 16])
            at += 16
        at += 16 if present & 2 else 0
    end = at + 8 + 4 * entry[at + 1] if at + 1 < len(entry) else 0
    return AccessEntry(
        kind in {_ALLOWED, _ALLOWED_OBJECT}, mask, right, security_id(entry[at:end]), only_inherited
    )


def first_word(
    entries: tuple[AccessEntry, ...] | None, bit: int, right: uuid.UUID, trustees: Collection[str]
) -> bool | None:
    """Return what the list says first to any of these trustees about a right; None where it is silent.

    The list is in the order in which Windows reads it; the first word is the last one.
    """
    if entries is None:
        return True
    said = (entry.allows for entry in entries if entry.trustee in trustees and entry.is_about(bit, right))
    return next(said, None)
