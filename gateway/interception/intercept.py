"""The answer to what the plane asks: is this response a sign-in, and what becomes of it?

Read on in ``authorization_request``, ``saml_request``, ``cas_request`` and ``remembered`` (what was asked
for), ``decide`` (who, and what the gate says), ``hold`` (kept and released), ``silent_refusal`` (where nobody
would see a page), ``decide_token`` (the token endpoint), ``faults`` (when infrastructure fails),
``loop_guard``.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import structlog

from gateway.interception import sign_in_pages
from gateway.interception.authorization_request import (
    AuthorizationRequest,
    is_form,
    may_be_read,
    read_request,
)
from gateway.interception.cas_request import cas_request
from gateway.interception.decide import Answered, Decider
from gateway.interception.decide_token import TokenDecider
from gateway.interception.link import insert_link
from gateway.interception.plane_cookies import Browser, PlaneCookies
from gateway.interception.remembered import RememberedRequests
from gateway.interception.saml_request import accepted_saml_request, begins_saml
from gateway.interception.sign_in_metrics import PROMPT_NONE, Outcome, count
from gateway.interception.silent_refusal import is_silent
from gateway.interception.token_grant import is_asked_about
from gateway.plane.observe import new_reference
from gateway.plane.verdict import Asked, Headers, Pass, Verdict
from idp_plugin.authorization_answer import is_html, is_page
from idp_plugin.base import AuthorizationAnswer, Exchange, SignInRecogniser

STATIC = (b".css", b".js", b".mjs", b".map", b".png", b".svg", b".ico", b".jpg", b".gif", b".woff", b".woff2")
"""What never is a page at an identity provider; a page under such a name is decoded, or refused."""

log = structlog.get_logger("sparekey.interception")


class _Telling(dict[bytes, bytes | None]):
    """The lower-case name of a field that may tell a sign-in, by each spelling met; None for all others."""

    def __missing__(self, name: bytes) -> bytes | None:
        lower = name.lower()
        what = lower if lower in {b"content-type", b"location", b"refresh", b"set-cookie"} else None
        if len(self) < 1024:
            self[name] = what
        return what


_TELLING = _Telling()
_Given = TypeVar("_Given")


class Interception:
    """The plane's `Interceptor`.

    Args:
        recogniser: `answer` and `sets_session` run on the event loop.
        authorization_path: Path of the provider's authorization endpoint.
        session_cookies: Names of the provider's session cookies.
        saml_paths: Where sign-ins by SAML begin at the provider, there or below.
        cas_paths: Where sign-ins by CAS begin there.
        executor: Where decisions wait for the stores and the provider.
    """

    def __init__(
        self,
        *,
        recogniser: SignInRecogniser,
        decider: Decider,
        remembered: RememberedRequests,
        cookies: PlaneCookies,
        executor: Executor,
        public: str,
        prefix: str,
        authorization_path: bytes,
        session_cookies: tuple[bytes, ...],
        token_path: bytes,
        token_decider: TokenDecider,
        saml_paths: tuple[bytes, ...] = (),
        cas_paths: tuple[bytes, ...] = (),
    ) -> None:
        self._recogniser = recogniser
        self._decider = decider
        self._remembered = remembered
        self._cookies = cookies
        self._executor = executor
        self._prefix = prefix
        self._authorization_path = authorization_path
        self._saml_paths = saml_paths
        self._cas_paths = cas_paths
        self._token_path = token_path
        self._token_decider = token_decider
        self._session_cookies = tuple(name + b"=" for name in session_cookies)
        # Security: only what certainly stays at the public origin streams through unread (S8).
        self._stays = re.compile(rb"(?:%b)?/(?![/\\])[!-\[\]-~]*" % re.escape(public.encode())).fullmatch

    def wants_identity(self, asked: Asked) -> bool:
        """Ask for an unencoded answer wherever a page may come."""
        return not asked.target.partition(b"?")[0].endswith(STATIC)

    def keeps_request_body(self, asked: Asked) -> bool:
        """Keep the form of a posted authorization or token request."""
        return asked.method == b"POST" and (
            self._begins_sign_in(asked.target) or self._may_issue_tokens(asked)
        )

    def needs_body(self, asked: Asked, status: int, headers: Headers) -> bool:
        """Read pages, redirects that leave, responses that set a session or answer authorization requests."""
        has_type = False
        for name, value in headers:
            what = _TELLING[name]
            if what is None:
                continue
            if what == b"content-type":
                has_type = True
                if is_html(value):
                    return True
            elif what == b"location":
                if self._stays(value) is None:
                    return True
            elif what == b"refresh" or value.startswith(self._session_cookies):
                return True
        # A browser may take a response without a type for a page.
        if status == 200 and (not has_type or self._may_issue_tokens(asked)):
            return True
        return self._begins_sign_in(asked.target)

    async def examine(self, asked: Asked, exchange: Exchange) -> Verdict:
        """Decide about one complete response."""
        try:
            return await self._examine(asked, exchange)
        except Exception:
            # Security: a failure of ours never lets an answer out (S10).
            reference = new_reference()
            log.exception("interception_failed", reference=reference)
            count(Outcome.FAILED)
            return sign_in_pages.stopped(sign_in_pages.FAILED, reference)

    async def _examine(self, asked: Asked, exchange: Exchange) -> Verdict:
        browser = self._cookies.browser(asked.headers)
        answer = self._recogniser.answer(exchange)
        target = self._accepted_target(exchange)
        request = None
        if target:
            self._remembered.remember(browser.id, target)
            if answer or "prompt=" in target:
                request = read_request(target.encode("ascii"))
        saml = accepted_saml_request(exchange, self._saml_paths)
        if saml:
            self._remembered.remember(browser.id, saml.target)
        if request and "none" in request.prompts:
            PROMPT_NONE.inc()
        if answer is None and self._recogniser.sets_session(exchange):
            return await self._in_thread(self._decider.miss, exchange.status)
        if answer is None and self._may_issue_tokens(asked) and is_asked_about(exchange):
            return await self._in_thread(self._token_decider.decide, exchange)
        if answer is None:
            return self._page(exchange, browser, is_remembered=bool(target or saml))
        if answer.protocol == "cas":
            request = cas_request(exchange, answer, self._cas_paths)
        else:
            request = request if request and _is_own_answer(request, answer) else None
        # Only a request that is answered on the spot can have been silent: what is remembered may be made up.
        silent = is_silent(request, asked.headers, is_on_the_spot=bool(target))
        saml = saml if saml and saml.is_answered_by(answer) else None
        answered = Answered(exchange, answer, browser, request, asked.client, silent, saml)
        return await self._in_thread(self._decider.decide, answered)

    def _may_issue_tokens(self, asked: Asked) -> bool:
        return asked.method == b"POST" and asked.target.startswith(self._token_path)

    async def _in_thread(self, decide: Callable[[_Given], Verdict], given: _Given) -> Verdict:
        return await asyncio.get_running_loop().run_in_executor(self._executor, decide, given)

    def _accepted_target(self, exchange: Exchange) -> str:
        """Return the authorization request that this response answers, as a GET, if the provider took it.

        Security: a refused one is not remembered: anybody can name any client beside any address, and the
        gate asks by client.
        """
        if exchange.status >= 400 or not self._is_authorization(exchange.target):
            return ""
        if exchange.method in {b"GET", b"HEAD"}:
            return exchange.target.decode("ascii") if may_be_read(exchange.target) else ""
        if exchange.method == b"POST" and is_form(exchange.request_headers):
            posted = read_request(exchange.target, exchange.request_body)
            return posted.target if posted else ""
        return ""

    def _page(self, exchange: Exchange, browser: Browser, *, is_remembered: bool) -> Verdict:
        """Pass what signs nobody in, with the link where it is a page that has a place for it."""
        body = None
        if exchange.response_body and is_page(exchange):
            body = insert_link(exchange.response_body, target=exchange.target, prefix=self._prefix)
        return Pass(browser.set_cookie if is_remembered else (), body)

    def _begins_sign_in(self, target: bytes) -> bool:
        return self._is_authorization(target) or begins_saml(target, self._saml_paths)

    def _is_authorization(self, target: bytes) -> bool:
        return target.partition(b"?")[0] == self._authorization_path


def _is_own_answer(request: AuthorizationRequest, answer: AuthorizationAnswer) -> bool:
    """Tell whether the answer to a request answers it; who pushed or signed one is bound to it."""
    # Spec: RFC 9101 section 6.3, RFC 9126 section 4: the provider compares the client with the object's.
    return request.is_hidden or request.is_answered_by(
        answer.redirect_uri, answer.parameters.get("state", "")
    )
