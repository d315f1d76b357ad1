import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.passwords import breach_build
from flows.passwords.breach_files import ENTRIES_AT, RANGES, BreachList, RangeFiles
from flows.passwords.breaches import BreachesUnavailable

LEAKED = tuple(f"leaked {number}" for number in range(300))


def digest(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


def build(source: Path, target: Path, **how: object) -> breach_build.Built:
    return breach_build.build(source, target, progress=lambda _done, _total: None, **how)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Range files, of which most are missing, as nobody keeps a million files for a test."""
    ranges: dict[str, list[str]] = {}
    for number, password in enumerate(LEAKED):
        ranges.setdefault(digest(password)[:5], []).append(f"{digest(password)[5:]}:{number % 3}")
    folder = tmp_path / "ranges"
    folder.mkdir()
    for number, (prefix, lines) in enumerate(ranges.items()):
        name = (prefix, f"{prefix}.txt", prefix.lower(), f"{prefix.lower()}.txt")[number % 4]
        (folder / name).write_text("\r\n".join(lines), "ascii")
    return folder


@pytest.fixture
def digests(tmp_path: Path) -> Path:
    """A file of digests in no order, with things in it that are none."""
    file = tmp_path / "digests.txt"
    lines = [f"{digest(password)}:{number + 1}" for number, password in enumerate(LEAKED)]
    odd = ["", "not a digest", f"{digest('x')}:many", f"{digest('y').lower()}", "G" * 40, f"{digest('z')}:0"]
    file.write_text("\n".join([*lines, *odd]), "ascii")
    return file


def test_range_files_are_read_whatever_their_names_case(folder: Path) -> None:
    files = RangeFiles(folder)
    assert [files.have(password) for password in LEAKED[:9]] == [False, True, True] * 3


def test_a_missing_range_is_a_fault_and_no_clean_answer(folder: Path) -> None:
    with pytest.raises(BreachesUnavailable, match="missing"):
        RangeFiles(folder).have("nobody ever leaked this one")


def test_a_list_from_a_folder_has_what_the_folder_has(folder: Path, tmp_path: Path) -> None:
    built = build(folder, tmp_path / "list")
    assert built.digests == sum(number % 3 > 0 for number in range(len(LEAKED)))
    assert built.missing == RANGES - len(list(folder.iterdir()))
    breaches = BreachList(tmp_path / "list")
    assert [breaches.have(password) for password in LEAKED] == [
        number % 3 > 0 for number in range(len(LEAKED))
    ]
    breaches.close()


@pytest.mark.parametrize("width", [2, 3, 5])
def test_a_list_from_digests_in_no_order_finds_every_one(digests: Path, tmp_path: Path, width: int) -> None:
    built = build(digests, tmp_path / "list", width=width)
    breaches = BreachList(tmp_path / "list")
    assert all(breaches.have(password) for password in (*LEAKED, "y"))
    assert not breaches.have("z")
    assert (built.skipped, built.digests) == (4, len(LEAKED) + 1)
    assert built.size == ENTRIES_AT + breaches.entries * width == (tmp_path / "list").stat().st_size
    breaches.close()


def test_how_often_a_digest_was_seen_decides_what_a_list_keeps(digests: Path, tmp_path: Path) -> None:
    build(digests, tmp_path / "list", at_least=150)
    breaches = BreachList(tmp_path / "list")
    assert [breaches.have(LEAKED[place]) for place in (0, 148, 149, 299)] == [False, False, True, True]
    breaches.close()


def test_a_list_from_passwords_finds_each_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "words").write_bytes("pässwort\r\n漢字\n\nleading blank\n leading blank\nlast".encode())
    build(tmp_path / "words", tmp_path / "list", passwords=True, width=5)
    breaches = BreachList(tmp_path / "list")
    assert all(
        breaches.have(word) for word in ("pässwort", "漢字", "leading blank", " leading blank", "last")
    )
    assert breaches.entries == 5
    breaches.close()


def test_the_measured_rate_of_false_positives_is_near_the_expected(tmp_path: Path) -> None:
    with (tmp_path / "digests").open("w") as file:
        file.writelines(f"{os.urandom(20).hex()}\n" for _digest in range(100_000))
    build(tmp_path / "digests", tmp_path / "list", width=2)
    measured, expected = breach_build.false_positives(tmp_path / "list", probes=50_000)
    assert expected == pytest.approx(100_000 / RANGES / 65_536, rel=0.01)
    # Hardly one in a million is expected; three of these have a chance of one in ten thousand.
    assert measured <= 2 / 50_000


def test_a_crowded_list_has_false_positives_and_the_measure_shows_them(tmp_path: Path) -> None:
    with (tmp_path / "digests").open("w") as file:
        file.writelines(f"00000{os.urandom(18).hex()[:35]}\n" for _digest in range(65_536))
    build(tmp_path / "digests", tmp_path / "list", width=2)
    breaches = BreachList(tmp_path / "list")
    unknown = [bytes.fromhex(f"00000{os.urandom(18).hex()[:35]}") for _digest in range(4000)]
    share = sum(breaches.has_digest(each) for each in unknown) / len(unknown)
    assert 0.55 < share < 0.71  # 1 - 1/e
    breaches.close()


@pytest.mark.parametrize("harm", ["cut", "magic", "empty", "longer", "width"])
def test_a_file_that_is_no_list_or_not_whole_is_refused(digests: Path, tmp_path: Path, harm: str) -> None:
    file = tmp_path / "list"
    build(digests, file)
    read = file.read_bytes()
    harmed = {
        "cut": read[:-1],
        "magic": b"x" + read[1:],
        "empty": b"",
        "longer": read + b"x",
        "width": read[:20] + b"\x00" + read[21:],
    }
    file.write_bytes(harmed[harm])
    with pytest.raises(BreachesUnavailable):
        BreachList(file)


def test_a_damaged_index_is_a_fault_and_no_clean_answer(digests: Path, tmp_path: Path) -> None:
    file = tmp_path / "list"
    build(digests, file)
    read = bytearray(file.read_bytes())
    read[32:ENTRIES_AT] = b"\xff" * (ENTRIES_AT - 32)
    file.write_bytes(read)
    breaches = BreachList(file)
    with pytest.raises(BreachesUnavailable, match="damaged"):
        breaches.have("anything")
    breaches.close()


def test_a_list_in_use_is_replaced_in_one_step(digests: Path, tmp_path: Path) -> None:
    build(digests, tmp_path / "list")
    old = BreachList(tmp_path / "list")
    (tmp_path / "words").write_text("new one")
    build(tmp_path / "words", tmp_path / "list", passwords=True)
    new = BreachList(tmp_path / "list")
    assert (old.have("new one"), old.have(LEAKED[0])) == (False, True)
    assert (new.have("new one"), new.have(LEAKED[0])) == (True, False)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["digests.txt", "list", "words"]
    old.close()
    new.close()


@settings(max_examples=5, deadline=None)
@given(
    words=st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1), max_size=20)
)
def test_whatever_was_put_in_is_found(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    folder = tmp_path_factory.mktemp("words")
    (folder / "words").write_text("\n".join(words), "utf-8", newline="")
    build(folder / "words", folder / "list", passwords=True)
    breaches = BreachList(folder / "list")
    assert all(breaches.have(word) for word in words)
    breaches.close()
