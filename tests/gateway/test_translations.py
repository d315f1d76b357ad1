"""Every sentence is said in every language, in its own letters, with its placeholders."""

import re
from functools import cache
from pathlib import Path

import pytest
from babel.messages import Message
from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from gateway.catalogs import FOLDER, LANGUAGES, SOURCE, catalog, file_of, translate_for
from gateway.interception.link import WORDING

ROOT = Path(__file__).parents[2]
TRANSLATED = sorted(set(LANGUAGES) - {SOURCE})
PLACEHOLDER = re.compile(r"%\((\w+)\)s|\{(\w+)\}")
SCRIPTS = {"ja": re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]"), "ar": re.compile(r"[\u0621-\u064a]")}
SAME_WORD = {
    "nl": {"Code", "Demo", "E-mail", "Later", "%(time)s UTC"},
    "de": {"Code", "Demo", "Passkey", "%(time)s UTC"},
    "fr": {"Code", "E-mail", "%(time)s UTC", "%(num)s minute", "%(num)s minutes"},
    "es": {"%(time)s UTC", "Error:"},
    "ja": set(),
    "ar": set(),
}
"""What is the same in both languages; everything else that is equal was forgotten."""


@cache
def sentences(language: str) -> Catalog:
    with file_of(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def translated(language: str) -> list[Message]:
    return [message for message in sentences(language) if message.id]


def forms(message: Message) -> list[tuple[str, str]]:
    """Pairs of what is said here and there; each plural form with the English plural."""
    if not message.pluralizable:
        return [(message.id, message.string)]
    one, many = message.id
    return [
        (one if at == 0 and len(message.string) == 2 else many, it) for at, it in enumerate(message.string)
    ]


def placeholders(sentence: str) -> set[str]:
    return {name for pair in PLACEHOLDER.findall(sentence) for name in pair if name}


def rest(sentence: str) -> str:
    """The sentence without what is filled in."""
    return PLACEHOLDER.sub("", sentence)


@cache
def in_the_code() -> set[str | tuple[str, ...]]:
    with (ROOT / "babel.cfg").open(encoding="utf-8") as mapping:
        methods, options = parse_mapping_cfg(mapping)
    keywords = {**DEFAULT_KEYWORDS, "_plural": (1, 2)}
    return {found[2] for found in extract_from_dir(ROOT, methods, options, keywords)}


def test_every_folder_is_a_language_that_is_offered() -> None:
    assert sorted(each.name for each in FOLDER.iterdir()) == TRANSLATED
    assert set(WORDING) == set(LANGUAGES)


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_catalog_holds_exactly_the_sentences_of_the_code(language: str) -> None:
    assert {message.id for message in translated(language)} == in_the_code(), "run `make messages`"


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_sentence_is_missing_or_uncertain(language: str) -> None:
    wrong = [
        message.id
        for message in translated(language)
        if message.fuzzy or not all(t for _s, t in forms(message))
    ]
    assert wrong == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_sentence_that_stayed_english_is_known_to_be_the_same(language: str) -> None:
    same = {said for message in translated(language) for said, there in forms(message) if said == there}
    assert same == SAME_WORD[language] & same
    assert {each for each in SAME_WORD[language] if each not in same} == set()


@pytest.mark.parametrize("language", SCRIPTS)
def test_sentences_are_in_the_letters_of_their_language(language: str) -> None:
    wrong = [
        there
        for message in translated(language)
        for _said, there in forms(message)
        if not SCRIPTS[language].search(rest(there))
    ]
    assert wrong == []


@pytest.mark.parametrize("language", sorted(set(TRANSLATED) - set(SCRIPTS)))
def test_other_languages_are_in_latin_letters(language: str) -> None:
    stray = [
        there
        for message in translated(language)
        for _said, there in forms(message)
        if any(script.search(there) for script in SCRIPTS.values()) or not re.search(r"[A-Za-z]", there)
    ]
    assert stray == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_placeholders_are_kept(language: str) -> None:
    """Of a plural, a form that means one number only may say it in words."""
    wrong = []
    for message in translated(language):
        for said, there in forms(message):
            missing = placeholders(said) - placeholders(there)
            added = placeholders(there) - placeholders(said)
            if added or missing - ({"num"} if message.pluralizable and language == "ar" else set()):
                wrong.append(there)
    assert wrong == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_sentences_can_be_filled_in(language: str) -> None:
    for message in translated(language):
        for said, there in forms(message):
            names = dict.fromkeys(placeholders(said), "7")
            filled = there.format(**names) if "{" in said else there % names
            assert not PLACEHOLDER.search(filled)


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_translation_brings_markup(language: str) -> None:
    assert [
        m.id for m in translated(language) if any(set(there) & set("<>&") for _said, there in forms(m))
    ] == []


@pytest.mark.parametrize("number", range(130))
def test_arabic_says_every_number_that_its_form_does_not(number: int) -> None:
    said = catalog("ar").ungettext("%(num)s hour", "%(num)s hours", number)
    assert ("%(num)s" in said) == (number not in {1, 2})


def test_a_message_is_in_the_language_that_a_directory_states() -> None:
    for tag in ("nl", "nl-BE", "nl_NL", "NL"):
        assert translate_for(tag)("Keep it") == "Behouden"
    for tag in ("", "en-GB", "tlh", "../../etc"):
        assert translate_for(tag)("Keep it") == "Keep it"
