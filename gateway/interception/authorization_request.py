"""One OIDC authorization request: what its answer is matched by, and how it may be sent again.

Pure. Source: OpenID Connect Core 1.0 section 3.1.2.1; RFC 6749 section 3.1 (no parameter twice).
"""

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote_plus

from idp_plugin.unverified_jwt import contents

LONGEST_TARGET = 4096
"""A longer one is not remembered: its sign-in is released by the parked answer or started again."""

SESSION_PARAMETER = "sparekey_session"
"""Added to a rewritten replay: a digest of the IdP session that the held answer belonged to. An answer to
it from another session is never handed on, because the request no longer asks for a fresh sign-in."""

OPAQUE = frozenset({"request", "request_uri"})
"""What counts is inside them, or was pushed before; what stands beside them is ignored by the IdP."""
FETCHED = ("https://", "http://")
"""Begins the address of a request object that the provider fetches, again for each use. Any other names a
request that was pushed, and is good once. Source: RFC 9101 section 5.2; RFC 9126 sections 2.2 and 4."""
ASKS_AGAIN = frozenset({"max_age", "kc_action"})
PROMPTS_AGAIN = frozenset({"login", "select_account", "consent", "create"})
PROMPTS_STRIPPED = frozenset({"login", "select_account"})
STATES_ASSURANCE = frozenset({"acr_values", "claims"})

FORM = re.compile(rb'application/x-www-form-urlencoded(?:\s*;\s*charset="?utf-8"?)?', re.IGNORECASE)
KEYCLOAK_STEP = re.compile(rb"(?:/[^?]*)?/realms/[^/?]+/login-actions/")


class ReleasePlan(enum.StrEnum):
    """In which order a held answer is released (interception.md, decision 4)."""

    EXACT = "exact"
    """The same request again: the session answers it silently, with the same state and nonce."""
    PARKED_THEN_EXACT = "parked_then_exact"
    """The relying party asks for an assurance, which a second answer may state lower; or it signed the
    request, so that nobody rewrites it."""
    PARKED_THEN_REWRITTEN = "parked_then_rewritten"
    """The same request would ask for the password again."""
    PARKED_ONLY = "parked_only"
    """The request is unknown, or was pushed and is spent."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that the identity provider accepted."""

    target: str = field(repr=False)
    """Path and query of the equivalent GET."""
    client_id: str
    redirect_uri: str = field(repr=False)
    """As asked for; may carry a query of its own. Empty where it is hidden."""
    state: str = field(repr=False)
    prompts: frozenset[str]
    """Empty where they are hidden."""
    plan: ReleasePlan
    is_hidden: bool = False
    """Whether only the provider knows what was asked: pushed, fetched by it, or encrypted."""
    session_mark: str = field(default="", repr=False)
    """The value of `SESSION_PARAMETER`, else empty."""

    def is_answered_by(self, redirect_uri: str, state: str) -> bool:
        """Tell whether an answer with these belongs to this request.

        Args:
            redirect_uri: The answer's target without query and fragment.
        """
        asked = self.redirect_uri.partition("#")[0].partition("?")[0]
        return bool(asked) and asked == redirect_uri and self.state == state


def may_be_read(target: bytes) -> bool:
    """Tell, without reading it, whether the target of a GET can be a request that is worth keeping."""
    return len(target) <= LONGEST_TARGET and b"client_id=" in target and target.isascii()


def read_request(target: bytes, form: bytes | None = None) -> AuthorizationRequest | None:
    """Read an authorization request as the identity provider does: by GET the query, by POST the form.

    Args:
        form: The whole body of a POST; None for a GET.

    Returns:
        None where it is malformed, says anything twice, is too long to keep, or is posted beside a query.
    """
    path, _, query = target.partition(b"?")
    # Security: providers differ in which of the two they read; what is not read names any client (S10).
    if form is not None and query:
        return None
    raw = query if form is None else form
    if len(path) + 1 + len(raw) > LONGEST_TARGET:
        return None
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=100)
        whole = f"{path.decode('ascii')}?{raw.decode('ascii')}"
    except ValueError:
        return None
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or not parameters.get("client_id"):
        return None
    believed = _believed(parameters)
    prompts = frozenset(believed.get("prompt", "").split())
    return AuthorizationRequest(
        target=whole,
        client_id=parameters["client_id"],
        redirect_uri=believed.get("redirect_uri", ""),
        state=believed.get("state", ""),
        prompts=prompts,
        plan=_plan(parameters, prompts),
        is_hidden=not believed,
        session_mark=parameters.get(SESSION_PARAMETER, ""),
    )


def _believed(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the identity provider goes by; empty where that cannot be read here.

    Security: what stands beside a request object counts for nothing (RFC 9101 section 6.3), so it matches no
    answer. The object's signature was the provider's to check: it accepted the request.
    """
    if not OPAQUE & parameters.keys():
        return parameters
    said = contents(parameters.get("request", "").encode())
    if "request_uri" in parameters or said.get("client_id") != parameters["client_id"]:
        return {}
    return {name: value for name, value in said.items() if isinstance(value, str)}


def is_form(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a request's header fields promise a plain form that everybody reads alike."""
    kept = [(name.lower(), value.strip()) for name, value in fields]
    types = [value for name, value in kept if name == b"content-type"]
    is_coded = any(name == b"content-encoding" for name, _ in kept)
    return len(types) == 1 and not is_coded and FORM.fullmatch(types[0]) is not None


class OfClient(Protocol):
    """A request of one relying party, by whatever protocol."""

    @property
    def client_id(self) -> str:
        """Its name at the identity provider."""


def is_of_step(request: OfClient, target: bytes) -> bool:
    """Tell whether an answer to this target can belong to a request that was made before."""
    return KEYCLOAK_STEP.match(target) is None or client_of_step(target) == request.client_id


def client_of_step(target: bytes) -> str:
    """Return the client whose sign-in a step belongs to; empty where the target does not tell for certain.

    Keycloak checks the `client_id` of its steps against the sign-in that goes on; no other address tells.
    Source: Keycloak 26.4, `LoginActionsService`, `SessionCodeChecks`.
    """
    if KEYCLOAK_STEP.match(target) is None:
        return ""
    query = target.partition(b"?")[2].decode("latin-1")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return ""
    named = [value for name, value in pairs if name == "client_id"]
    return named[0] if len(named) == 1 else ""


def _plan(parameters: Mapping[str, str], prompts: frozenset[str]) -> ReleasePlan:
    given = parameters.keys()
    if not parameters.get("request_uri", FETCHED[0]).startswith(FETCHED):
        return ReleasePlan.PARKED_ONLY
    if given & OPAQUE:
        return ReleasePlan.PARKED_THEN_EXACT
    if given & ASKS_AGAIN or prompts & PROMPTS_AGAIN:
        return ReleasePlan.PARKED_THEN_REWRITTEN
    if given & STATES_ASSURANCE:
        return ReleasePlan.PARKED_THEN_EXACT
    return ReleasePlan.EXACT


def rewritten(target: str, session_mark: str) -> str:
    """Return a request that the session answers silently: without `max_age`, `kc_action`, fresh prompts.

    `acr_values` and `claims` stay, and so does `prompt=consent` (S11). Honest, because the relying party
    sees the true `auth_time`, and the answer that was held did prove the fresh sign-in.

    Args:
        session_mark: The keyed digest of the session that proved it.
    """
    path, _, query = target.partition("?")
    kept = [again for pair in query.split("&") if (again := _rewritten_pair(pair))]
    return f"{path}?{'&'.join([*kept, f'{SESSION_PARAMETER}={quote(session_mark)}'])}"


def _rewritten_pair(pair: str) -> str:
    name, _, value = pair.partition("=")
    name = unquote_plus(name)
    if name in ASKS_AGAIN or name == SESSION_PARAMETER:
        return ""
    if name != "prompt":
        return pair
    left = [prompt for prompt in unquote_plus(value).split() if prompt not in PROMPTS_STRIPPED]
    return f"prompt={quote(' '.join(left))}" if left else ""
