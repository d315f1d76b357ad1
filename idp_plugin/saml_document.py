"""XML read as an attacker's: no document type, no entity, nothing fetched, nothing that readers tell apart.

Source: SAML 2.0 core sections 1.1 and 6 (no DTD in messages); OWASP XML External Entity Prevention.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

LONGEST_DOCUMENT = 1 << 20
DEEPEST = 64


class Unreadable(Exception):
    """Not a document that everybody reads alike."""


@dataclass(slots=True)
class Element:
    """One element, without those inside it."""

    path: tuple[str, ...]
    """Names from the root on, each as `namespace name`."""
    attributes: Mapping[str, str] = field(repr=False)
    text: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """`namespace name`."""
        return self.path[-1]


def read_elements(document: bytes) -> list[Element]:
    """Return every element in document order; the first is the root.

    Security: comments, processing instructions and CDATA are refused too: some readers stop a text at them.

    Raises:
        Unreadable: Not well-formed UTF-8, too long or too deep, or with something that messages never have.
    """
    if len(document) > LONGEST_DOCUMENT:
        raise Unreadable
    reading = _Reading()
    parser = expat.ParserCreate("UTF-8", " ")
    parser.XmlDeclHandler = _refuse_other_encodings
    parser.StartDoctypeDeclHandler = _refuse
    parser.CommentHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    parser.StartCdataSectionHandler = _refuse
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    try:
        parser.Parse(document.decode("utf-8"), True)
    except (expat.ExpatError, UnicodeDecodeError) as error:
        raise Unreadable from error
    return reading.elements


class _Reading:
    def __init__(self) -> None:
        self.elements: list[Element] = []
        self._open: list[Element] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= DEEPEST:
            raise Unreadable
        above = self._open[-1].path if self._open else ()
        element = Element((*above, name), attributes)
        self._open.append(element)
        self.elements.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].text += data


def _refuse(*_what: object) -> None:
    raise Unreadable


def _refuse_other_encodings(_version: str, encoding: str | None, _standalone: int) -> None:
    if encoding and encoding.lower() != "utf-8":
        raise Unreadable
