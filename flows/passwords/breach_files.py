"""Leaked passwords on disk: a folder of range files, or one file that `breach_build` made of them.

The file holds, for each of the 1,048,576 ranges, the sorted beginnings of its digests' rests, two to five
bytes each. A look-up reads two numbers and one range: no memory, no false negative, and a false positive for
about one in 2^(8 * width) / (digests per range) passwords that never leaked.
"""

import os
import struct
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import structlog

from flows.passwords.breaches import PREFIX, BreachesUnavailable, digest_of, is_in_range

MAGIC = b"sparekey breaches 1\n"
HEADER = struct.Struct("<20sIQ")
"""Magic, width in bytes, number of entries."""
RANGES = 16**PREFIX
_OFFSET = struct.Struct("<Q")
_OFFSETS = struct.Struct("<QQ")
ENTRIES_AT = HEADER.size + _OFFSET.size * (RANGES + 1)
"""Where the entries begin, after the number of the first entry of each range and of none."""
_DIGITS = frozenset("0123456789ABCDEF")
_log = structlog.get_logger(__name__)


class RangeFiles:
    """A folder with the range service's answers, as its downloader writes them."""

    def __init__(self, folder: Path, *, at_least: int = 1) -> None:
        self._folder = folder
        self._at_least = at_least

    def have(self, candidate: str) -> bool:
        """Look into one file; see `Breaches.have`."""
        digest = digest_of(candidate)
        lines = self._lines(digest[:PREFIX])
        return is_in_range(lines, digest[PREFIX:], at_least=self._at_least)

    def close(self) -> None:
        """Do nothing: no file stays open."""

    def _lines(self, prefix: str) -> list[str]:
        file = _range_file(self._folder, prefix)
        if file is None:
            _log.warning("breach_range_missing")
            raise BreachesUnavailable("missing")
        try:
            return file.read_text("ascii", "replace").splitlines()
        except OSError as error:
            _log.warning("breach_range_unreadable", cause=type(error).__name__)
            raise BreachesUnavailable("unreadable") from None


class BreachList:
    """One file with all ranges, cut short."""

    def __init__(self, file: Path) -> None:
        """Open it.

        Raises:
            BreachesUnavailable: It cannot be read, is no such file, or is not whole.
        """
        try:
            self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BreachesUnavailable(error.strerror or "unreadable") from error
        self.width, self.entries = self._header()

    def have(self, candidate: str) -> bool:
        """Look the digest up; see `Breaches.have`."""
        return self.has_digest(bytes.fromhex(digest_of(candidate)))

    def has_digest(self, digest: bytes) -> bool:
        """Tell whether a digest of 20 bytes is in the list, or looks like one that is."""
        number, rest = cut(digest, self.width)
        first, end = self._bounds(number)
        entries = self._read((end - first) * self.width, ENTRIES_AT + first * self.width)
        found = _Entries(entries, self.width)
        place = bisect_left(found, rest)
        return place < len(found) and found[place] == rest

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _header(self) -> tuple[int, int]:
        magic, width, entries = HEADER.unpack(self._read(HEADER.size, 0))
        size = os.fstat(self._descriptor).st_size
        if magic != MAGIC or not 1 <= width <= 8 or size != ENTRIES_AT + entries * width:
            raise BreachesUnavailable("not a breach list, or not whole")
        return width, entries

    def _bounds(self, number: int) -> tuple[int, int]:
        first, end = _OFFSETS.unpack(self._read(_OFFSETS.size, HEADER.size + number * _OFFSET.size))
        if not first <= end <= self.entries:
            raise BreachesUnavailable("damaged")
        return first, end

    def _read(self, size: int, at: int) -> bytes:
        try:
            read = os.pread(self._descriptor, size, at)
        except OSError as error:
            raise BreachesUnavailable("unreadable") from error
        if len(read) != size:
            raise BreachesUnavailable("not a breach list, or not whole")
        return read


class _Entries(Sequence[bytes]):
    """Entries of one width, for `bisect`."""

    def __init__(self, entries: bytes, width: int) -> None:
        self._entries = entries
        self._width = width

    def __len__(self) -> int:
        return len(self._entries) // self._width

    def __getitem__(self, place: int) -> bytes:  # type: ignore[override]  # never sliced
        return self._entries[place * self._width : (place + 1) * self._width]


def cut(digest: bytes, width: int) -> tuple[int, bytes]:
    """Return the number of a digest's range, and as much of the rest as a list keeps."""
    digits = digest.hex()
    return int(digits[:PREFIX], 16), bytes.fromhex(digits[PREFIX : PREFIX + 2 * width])


def range_prefix(name: str) -> str:
    """Return the five capital digits for which a file is named, or the empty string."""
    prefix = name.upper().removesuffix(".TXT")
    return prefix if len(prefix) == PREFIX and set(prefix) <= _DIGITS else ""


def _range_file(folder: Path, prefix: str) -> Path | None:
    names = (prefix, f"{prefix}.txt", prefix.lower(), f"{prefix.lower()}.txt")
    return next((folder / name for name in names if (folder / name).is_file()), None)
