"""Makes the file of `breach_files.BreachList` from range files, from a file of digests, or of passwords.

Digests are sorted on disk by their first byte, so that memory holds one part in 256 of the list.
"""

import os
import secrets
import sys
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import BinaryIO

from flows.passwords.breach_files import ENTRIES_AT, HEADER, MAGIC, RANGES, BreachList, cut, range_prefix
from flows.passwords.breaches import digest_of

Entry = tuple[int, bytes]
"""Number of the range, and the beginning of the digest's rest."""
Progress = Callable[[int, int], None]
"""Told how much of how much is read: ranges, or bytes."""
_PROBES = 200_000
_DIGITS = frozenset(b"0123456789ABCDEF")


@dataclass(frozen=True, slots=True)
class Built:
    """What was made."""

    digests: int
    """In the source, seen often enough."""
    entries: int
    """In the file; fewer where digests begin alike."""
    missing: int
    """Ranges without a file; passwords that fall there are never found."""
    skipped: int
    """Lines that are none of a list."""
    size: int
    """Of the file, in bytes."""


class _Source:
    """Reads a source and counts."""

    def __init__(self, source: Path, *, width: int, at_least: int, progress: Progress) -> None:
        self._source = source
        self.width = width
        self._at_least = at_least
        self._progress = progress
        self.digests = self.missing = self.skipped = 0

    def ranges(self) -> Iterator[Entry]:
        """Yield a folder's entries, sorted by range."""
        files = _range_files(self._source)
        self.missing = RANGES - len(files)
        for done, (prefix, file) in enumerate(files):
            lines = (prefix.encode() + line for line in file.read_bytes().splitlines())
            yield from sorted(self._entries(lines))
            if done % 1024 == 0:
                self._progress(done, len(files))
        self._progress(len(files), len(files))

    def digests_in(self, file: BinaryIO) -> Iterator[Entry]:
        """Yield the entries of a file with a digest, and perhaps `:<how often>`, on each line; unsorted."""
        return self._entries(self._lines(file))

    def passwords_in(self, file: BinaryIO) -> Iterator[Entry]:
        """Yield the entries of a file with a password on each line; unsorted."""
        for line in self._lines(file):
            password = line.decode("utf-8", "replace").rstrip("\r\n")
            if password:
                self.digests += 1
                yield cut(bytes.fromhex(digest_of(password)), self.width)

    def _lines(self, file: BinaryIO) -> Iterator[bytes]:
        total, done = os.fstat(file.fileno()).st_size, 0
        for number, line in enumerate(file):
            done += len(line)
            if number % 10_000 == 0:
                self._progress(done, total)
            yield line
        self._progress(total, total)

    def _entries(self, lines: Iterable[bytes]) -> Iterator[Entry]:
        for line in lines:
            digest, _, often = line.strip().upper().partition(b":")
            if len(digest) != 40 or not _DIGITS.issuperset(digest) or not (often or b"1").isdigit():
                self.skipped += 1
            elif int(often or b"1") >= self._at_least:
                self.digests += 1
                yield cut(bytes.fromhex(digest.decode()), self.width)


def build(
    source: Path,
    target: Path,
    *,
    passwords: bool = False,
    width: int = 3,
    at_least: int = 1,
    progress: Progress,
) -> Built:
    """Make a breach list; the target is replaced at the end, in one step.

    Args:
        source: A folder of range files; or a file of SHA-1 digests, sorted or not.
        target: The file to make.
        passwords: The file holds passwords instead of digests.
        width: Bytes kept of each digest beside its range: 2 to 5.
        at_least: How often a digest must have been seen; padding, seen 0 times, never counts.
        progress: Called now and then.

    Raises:
        OSError: Something cannot be read or written.
    """
    reading = _Source(source, width=width, at_least=max(1, at_least), progress=progress)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(dir=target.parent, prefix=".breaches-"))
        )
        entries = _sorted(reading, source, folder, passwords, stack)
        made = folder / "made"
        number = _write(made, entries, width)
        size = made.stat().st_size
        made.replace(target)
    return Built(reading.digests, number, reading.missing, reading.skipped, size)


def false_positives(file: Path, *, probes: int = _PROBES) -> tuple[float, float]:
    """Return the measured and the expected share of unknown passwords that look leaked.

    Measured with random digests, of which practically none is in any list.
    """
    breaches = BreachList(file)
    try:
        found = sum(breaches.has_digest(secrets.token_bytes(20)) for _probe in range(probes))
        return found / probes, breaches.entries / RANGES / 2.0 ** (8 * breaches.width)
    finally:
        breaches.close()


def _range_files(folder: Path) -> list[tuple[str, Path]]:
    named = ((range_prefix(file.name), file) for file in folder.iterdir())
    return sorted((prefix, file) for prefix, file in named if prefix)


def _sorted(
    reading: _Source, source: Path, folder: Path, passwords: bool, stack: ExitStack
) -> Iterator[Entry]:
    if source.is_dir():
        return reading.ranges()
    file = stack.enter_context(source.open("rb"))
    entries = reading.passwords_in(file) if passwords else reading.digests_in(file)
    return _sorted_on_disk(entries, reading.width, folder)


def _sorted_on_disk(entries: Iterator[Entry], width: int, folder: Path) -> Iterator[Entry]:
    with ExitStack() as stack:
        parts = [stack.enter_context((folder / f"{part:02x}").open("w+b")) for part in range(256)]
        for number, rest in entries:
            parts[number >> 12].write(number.to_bytes(3, "big") + rest)
        for part in parts:
            part.seek(0)
            read, row = part.read(), 3 + width
            for each in sorted(read[at : at + row] for at in range(0, len(read), row)):
                yield int.from_bytes(each[:3], "big"), each[3:]


def _write(file: Path, entries: Iterator[Entry], width: int) -> int:
    """Write the list and return how many entries it has; those that begin alike are one."""
    starts, written = array("Q", [0]) * (RANGES + 1), 0
    with file.open("wb") as made:
        made.seek(ENTRIES_AT)
        for (number, rest), _alike in groupby(entries):
            made.write(rest)
            written += 1
            starts[number + 1] = written
        starts = array("Q", accumulate(starts, max))
        if sys.byteorder == "big":
            starts.byteswap()
        made.seek(0)
        made.write(HEADER.pack(MAGIC, width, written) + starts.tobytes())
        made.truncate(ENTRIES_AT + written * width)
        made.flush()
        os.fsync(made.fileno())
    return written
