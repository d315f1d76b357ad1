"""One answer, read as far as a person without scripts would use it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """A form as it stands on a page."""

    action: str
    method: str
    work: str
    """The proof of work that it asks for, as JSON; empty for none."""
    values: dict[str, str] = field(default_factory=dict)
    """What would be sent as it is: hidden fields, prefilled ones, the chosen radio button."""
    kinds: dict[str, str] = field(default_factory=dict)
    """Field name to `type` and `autocomplete`, separated by a blank."""
    choices: dict[str, list[str]] = field(default_factory=dict)
    """Values of radio buttons, by name."""
    buttons: list[str] = field(default_factory=list)
    """The words on its submit buttons."""

    def name_of(self, *marks: str) -> str:
        """Return the first field whose name, type or autocomplete is one of the marks; empty for none."""
        fitting = (name for name, kind in self.kinds.items() if {name, *kind.split()} & set(marks))
        return next(fitting, "")


class Page(HTMLParser):
    """One answer, read as far as a person without scripts would use it."""

    def __init__(self, status: int, address: str, text: str) -> None:
        super().__init__()
        self.status = status
        self.address = address
        self.source = text
        self.title = ""
        self.heading = ""
        self.forms: list[Form] = []
        self.links: list[tuple[str, str]] = []
        """Words and address."""
        self._form: Form | None = None
        self._words: list[str] | None = None
        self._href = ""
        self.feed(text)

    def link(self, words: str) -> str:
        """Return the address of the first link whose words match a pattern; empty for none."""
        return next((href for text, href in self.links if re.search(words, text, re.IGNORECASE)), "")

    def form_with(self, *marks: str) -> Form | None:
        """Return the first form with such a field."""
        return next((form for form in self.forms if form.name_of(*marks)), None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(
                given.get("action") or self.address,
                given.get("method", "get").lower(),
                given.get("data-work", ""),
            )
            self.forms.append(self._form)
        elif tag in {"input", "button"} and self._form is not None:
            _add_field(self._form, tag, given)
        if tag in {"title", "h1", "a", "button"}:
            self._words = []
            self._href = given.get("href", "")

    def handle_data(self, data: str) -> None:
        """See HTMLParser."""
        if self._words is not None:
            self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        if tag == "form":
            self._form = None
        if self._words is None or tag not in {"title", "h1", "a", "button"}:
            return
        words, self._words = " ".join("".join(self._words).split()), None
        if tag == "title":
            self.title = self.title or words
        elif tag == "h1":
            self.heading = self.heading or words
        elif tag == "a":
            self.links.append((words, self._href))
        elif self._form is not None:
            self._form.buttons.append(words)


def _add_field(form: Form, tag: str, given: Mapping[str, str]) -> None:
    name, kind, value = given.get("name", ""), given.get("type", "text"), given.get("value", "")
    if not name or tag == "button" or kind == "submit":
        return
    if kind == "radio":
        form.choices.setdefault(name, []).append(value)
    if kind not in {"radio", "checkbox"} or "checked" in given:
        form.values[name] = value
    form.kinds[name] = f"{kind} {given.get('autocomplete', '')}"
