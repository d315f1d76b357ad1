"""The sentences of every language, read from the `.po` files as they are: nothing is compiled beforehand."""

import io
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

SOURCE = "en"
LANGUAGES: Mapping[str, str] = {
    SOURCE: "English",
    "nl": "Nederlands",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "ja": "日本語",
    "ar": "العربية",
}
"""Complete translations by their own names, the fallback first."""
FOLDER = Path(__file__).parent / "translations"


def language_of(tag: str) -> str | None:
    """Return the language of `LANGUAGES` that a BCP 47 tag means, or None where there is none."""
    language = tag.replace("_", "-").split("-")[0].lower()
    return language if language in LANGUAGES else None


def file_of(language: str) -> Path:
    """Return where a language's sentences are kept; the source language has no file."""
    return FOLDER / language / "LC_MESSAGES" / "messages.po"


@cache
def catalog(language: str) -> Translations:
    """Return the sentences of one of `LANGUAGES`; those of the source language stand for themselves."""
    if language == SOURCE:
        return Translations()
    with file_of(language).open("rb") as file:
        sentences = read_po(file, locale=language)
    compiled = io.BytesIO()
    write_mo(compiled, sentences)
    compiled.seek(0)
    return Translations(compiled)


def translate_for(tag: str) -> Callable[[str], str]:
    """Return what says a sentence to a person; a language that we do not speak becomes the source's.

    Args:
        tag: BCP 47, or empty, as directories state it.
    """
    return catalog(language_of(tag) or SOURCE).gettext
