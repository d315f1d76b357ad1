"""The origin rule: what leaves the identity provider with a code, a token or an assertion is an answer.

Looked for in every `Location` and `Refresh` field, whatever the status, in query and fragment, and in forms
and `http-equiv="refresh"` of HTML pages (S8). Pure.

Source: OAuth 2.0 Multiple Response Types; OAuth 2.0 Form Post Response Mode; JARM; SAML bindings 3.4 to 3.6;
CAS protocol 3.0 section 2.2.4.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl

from idp_plugin import saml_response
from idp_plugin.base import AuthorizationAnswer, Exchange, SignInProtocol
from idp_plugin.unverified_jwt import contents

OF_OIDC = ("code", "id_token", "access_token", "response")
HANDED_OVER: Mapping[str, SignInProtocol] = {
    **dict.fromkeys(OF_OIDC, "oidc"),
    **dict.fromkeys(("SAMLResponse", "SAMLart"), "saml"),
    "ticket": "cas",
    "wresult": "ws_federation",
}
"""An answer with any of these is no error answer, whatever else it says."""
STATED_WITHIN = ("iss", "session_state", "state")
"""What a JWT response (JARM) holds, other modes beside the code."""
STATED_ONCE = (*STATED_WITHIN, "SAMLResponse", "SAMLart", "RelayState", "ticket")

_FIELD = re.compile(
    rb"name\s*=\s*[\"']?(?:code|id_token|access_token|response|samlresponse|samlart|ticket|wresult)[\"'\s/>]"
)
_REFRESH = re.compile(rb"http-equiv\s*=\s*[\"']?refresh")
_MAY_BE_PAGE = re.compile(rb"html|(?:unknown|application)/unknown|\*/\*", re.IGNORECASE)
_REFRESH_TARGET = re.compile(r"^[\s\d.]*[;,]?\s*(?:url\s*=\s*)?[\"']?([^\"']*)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_STRIPPED_AT_ENDS = "".join(map(chr, range(0x21)))
_STRIPPED_INSIDE = str.maketrans("", "", "\t\r\n")
_TICKET = ("ST-", "PT-")
"""Source: CAS protocol 3.0 sections 3.1.1 and 3.2.1."""


@dataclass(frozen=True, slots=True)
class Target:
    """Somewhere the response sends the browser, and what it takes there."""

    address: str
    """As a browser reads it: white space stripped."""
    pairs: tuple[tuple[str, str], ...] = field(repr=False)
    mode: str

    @property
    def redirect_uri(self) -> str:
        """The address without query and fragment."""
        return self.address.partition("#")[0].partition("?")[0]

    @property
    def hands_over(self) -> bool:
        """Whether it carries what signs somebody in."""
        return bool(self._protocols)

    @property
    def refuses(self) -> bool:
        """Whether it says an error to a relying party."""
        return any(_refuses(name, value) for name, value in self.pairs)

    def stays(self, public: str) -> bool:
        """Tell whether a browser that is at the public origin certainly stays there."""
        address = self.address
        # Security: browsers take a backslash for a slash, and more than ASCII for who knows what.
        if "\\" in address or not address.isascii() or not address.isprintable():
            return False
        if address.startswith(public):
            return address[len(public) : len(public) + 1] in {"", "/", "?", "#"}
        return not address.startswith("//") and not _SCHEME.match(address)

    def answer(self) -> AuthorizationAnswer:
        """Return it as an authorization answer.

        Security: redirect URIs may bring a query of their own, so what is stated twice is not stated.
        """
        parameters = dict(self.pairs)
        for name in STATED_ONCE:
            if sum(1 for given, _ in self.pairs if given == name) > 1:
                parameters[name] = ""
        parameters |= self._stated_within(parameters)
        # Security: whoever may choose an address with a query may write another protocol's names into it.
        protocol = self._protocols[0] if len(self._protocols) == 1 else ""
        return AuthorizationAnswer(self.redirect_uri, parameters, self.mode, protocol)

    def _stated_within(self, parameters: Mapping[str, str]) -> dict[str, str]:
        """Return what a JWT response states of itself (JARM section 2.1); nothing is signed beside it.

        Security: a redirect URI may bring a query of its own, so nothing may stand beside the response.
        """
        if [name for name, _ in self.pairs if name in {*OF_OIDC, *STATED_WITHIN}] != ["response"]:
            return {}
        said = contents(parameters["response"].encode())
        return {name: said[name] for name in STATED_WITHIN if isinstance(said.get(name), str)}

    @property
    def _protocols(self) -> tuple[SignInProtocol, ...]:
        named = (
            HANDED_OVER[name] for name, value in self.pairs if name in HANDED_OVER and _signs_in(name, value)
        )
        return tuple(dict.fromkeys(named))


def targets(exchange: Exchange) -> Iterator[Target]:
    """Yield everywhere that the response sends the browser, forms only where they hand something over."""
    for name, value in exchange.response_headers:
        lower = name.lower()
        if lower == b"location":
            yield _target(value.decode("latin-1"))
        elif lower == b"refresh":
            yield _refresh_target(value.decode("latin-1"))
    if is_page(exchange):
        yield from _page_targets(exchange.response_body)


def is_page(exchange: Exchange) -> bool:
    """Tell whether a browser would show the response as a page; one without a type may be."""
    types = [value for name, value in exchange.response_headers if name.lower() == b"content-type"]
    return any(map(is_html, types)) if types else exchange.status == 200


def is_html(content_type: bytes) -> bool:
    """Tell whether a browser may show this as a page: of several types the last counts, and some are guessed.

    Source: WHATWG, MIME Sniffing, section 7; Fetch, extracting a MIME type.
    """
    return _MAY_BE_PAGE.search(content_type) is not None


def _page_targets(body: bytes) -> Iterable[Target]:
    lower = body.lower()
    if not _FIELD.search(lower) and not _REFRESH.search(lower):
        return ()
    page = _Page()
    page.feed(body.decode("utf-8", "replace"))
    page.close()
    return page.targets


def _target(address: str) -> Target:
    address = address.strip(_STRIPPED_AT_ENDS).translate(_STRIPPED_INSIDE)
    before, _, fragment = address.partition("#")
    pairs = parse_qsl(before.partition("?")[2], keep_blank_values=True)
    in_fragment = parse_qsl(fragment, keep_blank_values=True)
    return Target(address, tuple(pairs + in_fragment), "fragment" if in_fragment else "query")


def _refresh_target(content: str) -> Target:
    found = _REFRESH_TARGET.match(content)
    return _target(found.group(1) if found else content)


class _Page(HTMLParser):
    """Collects forms with their fields, and refreshes."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.targets: list[Target] = []
        self._action: str | None = None
        self._fields: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in reversed(attrs)}
        if tag == "form":
            self._end_form()
            self._action = given.get("action", "")
        elif tag in {"input", "button", "textarea", "select"} and self._action is not None:
            self._fields.append((given.get("name", ""), given.get("value", "")))
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.targets.append(_refresh_target(given.get("content", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._end_form()

    def close(self) -> None:
        super().close()
        self._end_form()

    def _end_form(self) -> None:
        if self._action is not None:
            to = _target(self._action)
            self.targets.append(Target(to.address, (*to.pairs, *self._fields), "form_post"))
        self._action, self._fields = None, []


def _is_error(response: str) -> bool:
    """Tell whether a JWT response (JARM) says an error and nothing else."""
    said = contents(response.encode())
    return "error" in said and said.keys().isdisjoint(OF_OIDC)


def _refuses(name: str, value: str) -> bool:
    if name == "SAMLResponse":
        return not saml_response.signs_in(value)
    return name == "error" or (name == "response" and _is_error(value))


def _signs_in(name: str, value: str) -> bool:
    """Tell an error or a SAML logout from a sign-in; whatever cannot be read counts as one (S8)."""
    if name == "ticket":
        return value.startswith(_TICKET)
    if name == "response":
        return not _is_error(value)
    return name != "SAMLResponse" or saml_response.signs_in(value)
