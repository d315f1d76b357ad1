import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from flows.passwords.banned import BannedList, Score, is_term, is_within_one_edit, normalise
from flows.passwords.settings import BannedSettings, PasswordsSettings

LIST = BannedList(["contoso", "blank", "abcdef", "Fabrikam"])


@pytest.mark.parametrize(
    ("password", "points"),
    [
        # The reference's own examples.
        ("C0ntos0Blank12", 4),
        ("ContoS0Bl@nkf9!", 5),
        ("abcdeg", 1),
        ("abcdefg", 1),
        ("abcde", 1),
        # And what follows from its rules.
        ("abcdef", 1),
        ("bcdef", 1),
        ("abxdef", 1),
        ("xabcdef", 1),
        ("bacdef", 6),
        ("contosocontoso", 2),
        ("c0nt0$0", 1),
        ("CONTOSO1234", 5),
        ("contoso123", 4),
        ("f@brik@m", 1),
        ("four words", 10),
        ("", 0),
    ],
)
def test_the_reference_products_examples_have_its_points(password: str, points: int) -> None:
    assert LIST.score(password).points == points


def test_the_working_names_terms_as_the_list_writes_them_and_counts_the_rest() -> None:
    assert LIST.score("C0ntos0F@brikam12") == Score(4, 5, ("contoso", "Fabrikam"), 2)
    assert LIST.score("abcdeg") == Score(1, 5, ("abcdef",), 0, close_to="abcdef")


def test_of_several_readings_the_one_with_the_fewest_points_counts() -> None:
    overlapping = BannedList(["abcd", "abcdef", "efghij"])
    assert overlapping.score("abcdefghij") == Score(2, 5, ("abcd", "efghij"), 0)


@pytest.mark.parametrize(
    "spelling",
    [
        "ｃｏｎｔｏｓｏ",  # noqa: RUF001 - look-alikes on purpose
        "CONTOSO",
        "con\u200btoso",
        "c\u00adontoso",
        "Ⓒontoso",
        "con\u2060to\ufeffso",
        "𝐜𝐨𝐧𝐭𝐨𝐬𝐨",  # noqa: RUF001 - look-alikes on purpose
    ],
)
def test_spellings_that_look_the_same_are_the_same(spelling: str) -> None:
    assert LIST.score(spelling).points == 1


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=40))
def test_what_is_normalised_has_nothing_unseen_and_no_substitute(text: str) -> None:
    normal = normalise(text)
    assert not set(normal) & set("01$@")
    assert not any(unicodedata.category(letter) == "Cf" for letter in normal)


@given(st.text("abcdefcontosoblank01$@ \u0301é", max_size=30))
def test_points_are_never_more_than_characters_and_never_negative(text: str) -> None:
    score = LIST.score(text)
    assert 0 <= score.points <= len(normalise(text))
    assert score.suffices == (score.points >= 5)


@given(
    st.lists(
        st.one_of(st.sampled_from(["contoso", "blank", "Fabrikam"]), st.sampled_from("xyz9!")), max_size=8
    )
)
def test_the_points_are_the_parts_of_which_it_was_put_together(parts: list[str]) -> None:
    score = LIST.score("".join(parts))
    if not score.close_to:
        assert score.points == len(parts)
        assert list(score.terms) == [part for part in parts if len(part) > 1]


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_one_edit_is_what_the_textbook_says(one: str, other: str) -> None:
    assert is_within_one_edit(one, other) == (distance(one, other) <= 1)


@pytest.mark.parametrize("term", ["abc", "a" * 17, "", "ab\u200bc", "\u200b" * 8])
def test_a_term_that_could_never_be_found_is_refused(term: str) -> None:
    assert not is_term(term)
    with pytest.raises(ValidationError):
        PasswordsSettings(banned=BannedSettings(terms=(term,)))


def test_more_than_a_thousand_terms_are_refused() -> None:
    terms = tuple(f"term{number:04}" for number in range(1001))
    assert BannedSettings(terms=terms[:1000])
    with pytest.raises(ValidationError):
        BannedSettings(terms=terms)


@pytest.mark.parametrize(
    "password", ["a" * 10_000, "\x00" * 50, "\ud800\udfff", "e\u0301" * 200, "\ufdfa" * 256]
)
def test_odd_text_has_a_score_too(password: str) -> None:
    assert LIST.score(password).points >= 1


def distance(one: str, other: str) -> int:
    """Levenshtein's, by the table."""
    row = list(range(len(other) + 1))
    for letter in one:
        above, row = row, [row[0] + 1]
        for place, (before, after) in enumerate(pairwise(above)):
            row.append(min(row[-1] + 1, after + 1, before + (letter != other[place])))
    return row[-1]
