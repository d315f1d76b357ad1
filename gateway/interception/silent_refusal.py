"""What a relying party is told where it asked silently and a page would be needed.

Source: OpenID Connect Core 1.0 sections 3.1.2.1 (`prompt=none`) and 3.1.2.6 (`interaction_required`); OAuth
2.0 Multiple Response Types section 5; Form Post Response Mode; JARM section 2.1; RFC 9207.
"""

import base64
import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlencode

import httpx

from gateway.interception.authorization_request import AuthorizationRequest
from gateway.interception.parked import pack, unpack
from gateway.plane.verdict import Headers, Replace
from idp_plugin.authorization_answer import targets
from idp_plugin.base import AuthorizationAnswer, Exchange, SignInRecogniser, Unrecognised

ERROR = {
    "error": "interaction_required",
    "error_description": "The person has to see a page before this sign-in goes on",
}
FRAMES = frozenset({b"iframe", b"frame", b"embed", b"object"})
"""Where a browser says that it shows what it asks for within another page (`Sec-Fetch-Dest`)."""
_SCRIPT = "document.forms[0].submit()"
_SCRIPT_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_HARDENED: Headers = (
    (b"Cache-Control", b"no-store"),
    (b"Referrer-Policy", b"no-referrer"),
    (b"X-Content-Type-Options", b"nosniff"),
)
_PAGE_FIELDS: Headers = (
    (b"Content-Type", b"text/html; charset=utf-8"),
    (
        b"Content-Security-Policy",
        f"default-src 'none'; script-src 'sha256-{_SCRIPT_HASH}'; base-uri 'none'".encode(),
    ),
)


class Asks(Protocol):
    """Sends a request to the provider from inside; `OidcProvider`."""

    @property
    def address(self) -> str:
        """Where the provider is reached."""

    def request(self, method: str, address: str) -> httpx.Response:
        """Send it, without anybody's cookies."""


def is_silent(request: AuthorizationRequest | None, headers: Headers, *, is_on_the_spot: bool) -> bool:
    """Tell whether nobody would see a page in place of this answer.

    Args:
        request: That the answer is the response to, where known.
        is_on_the_spot: Whether it is the response to an authorization request: nothing else can be silent.
    """
    if request and "none" in request.prompts:
        return True
    return is_on_the_spot and any(
        name.lower() == b"sec-fetch-dest" and value in FRAMES for name, value in headers
    )


@dataclass(frozen=True, slots=True)
class SilentRefusal:
    """Says so in the response mode that was asked for, with `state` and `iss`."""

    provider: Asks
    recogniser: SignInRecogniser

    def answer(
        self, exchange: Exchange, answer: AuthorizationAnswer, request: AuthorizationRequest | None
    ) -> Replace:
        """Return the error for the relying party.

        Raises:
            Unrecognised: The provider would not sign one.
            IdpUnavailable: It was to sign one, and does not answer.
        """
        if "response" in answer.parameters:
            return self._signed_by_provider(exchange, request)
        # Security: of the answer only these are kept; all else may be what signs somebody in.
        kept = {name: answer.parameters[name] for name in ("state", "iss") if answer.parameters.get(name)}
        to = request.redirect_uri if request and request.redirect_uri else answer.redirect_uri
        return _unsigned(to, {**ERROR, **kept}, answer.mode)

    def _signed_by_provider(self, exchange: Exchange, request: AuthorizationRequest | None) -> Replace:
        """Have the same request answered for nobody: a signed `login_required`, because only it can sign."""
        if request is None:
            raise Unrecognised("silent_request_unknown")
        response = self.provider.request("GET", self.provider.address + request.target)
        asked = Exchange(
            method=b"GET",
            target=exchange.target,
            request_headers=(),
            request_body=b"",
            status=response.status_code,
            response_headers=tuple(response.headers.raw),
            response_body=response.content,
        )
        # Security: whatever it may be, an answer that signs somebody in is not handed on here.
        if self.recogniser.answer(asked) is not None or not any(to.refuses for to in targets(asked)):
            raise Unrecognised("silent_request_not_refused")
        parked = unpack(pack(asked))
        return Replace(parked.status, parked.headers, parked.body)


def _unsigned(redirect_uri: str, parameters: Mapping[str, str], mode: str) -> Replace:
    if mode == "form_post":
        return Replace(200, _PAGE_FIELDS + _HARDENED, _form(redirect_uri, parameters))
    bare = redirect_uri.partition("#")[0]
    joint = "#" if mode == "fragment" else "&" if "?" in bare else "?"
    return Replace(303, ((b"Location", f"{bare}{joint}{urlencode(parameters)}".encode()), *_HARDENED))


def _form(redirect_uri: str, parameters: Mapping[str, str]) -> bytes:
    fields = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in parameters.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>…</title></head><body>'
        f'<form method="post" action="{html.escape(redirect_uri)}">{fields}'
        f"<noscript><button>Continue</button></noscript></form><script>{_SCRIPT}</script></body></html>\n"
    ).encode()
