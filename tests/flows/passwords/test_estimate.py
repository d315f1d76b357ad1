from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zxcvbn import matching

from flows.passwords.estimate import Estimate, estimate


@pytest.mark.parametrize(
    ("password", "score", "warning"),
    [
        ("", 0, ""),
        ("password", 0, "common"),
        ("P@ssw0rd", 0, "common"),
        ("jdoe1", 1, "name"),
        ("johnson", 0, "name"),
        ("zxcvbhgf", 1, "keys"),
        ("aaaaaaaa", 0, "repeat"),
        ("letmein", 0, "common"),
        ("mnopqrst", 0, "sequence"),
        ("12.08.1987", 1, "date"),
        ("correct horse battery staple", 4, ""),
        ("tamovi-redusa-kolepi", 4, ""),
    ],
)
def test_the_estimate_says_how_hard_and_why(password: str, score: int, warning: str) -> None:
    assert estimate(password, ["jdoe"]) == Estimate(score, warning)


def test_one_persons_names_never_count_for_another() -> None:
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda name: estimate("quillfeather", [name]), ["quillfeather", "x"] * 200))
    assert {each.score for each in found[::2]} == {0}
    assert all(each.score > 0 for each in found[1::2])
    assert "user_inputs" not in matching.RANKED_DICTIONARIES


def test_a_candidate_made_to_be_slow_is_read_in_few_spellings(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = []
    real = matching.dictionary_match

    def counted(password: str, *args: object, **more: object) -> object:
        searches.append(len(password))
        return real(password, *args, **more)

    monkeypatch.setattr(matching, "dictionary_match", counted)
    for candidate in (
        "4@8({[<369!1|750$+%2" * 50,
        "4@8({[<369!1|750$+%2" * 2,
        "4@3!|50$" * 100,
        "12311985" * 99,
    ):
        estimate(candidate, [])
    assert len(searches) < 60
    assert max(searches) <= 48


@given(st.text(max_size=60))
def test_any_text_has_an_estimate(text: str) -> None:
    assert 0 <= estimate(text, ["jane"]).score <= 4
