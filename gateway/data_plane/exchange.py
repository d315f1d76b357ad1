"""What a native data plane and the gateway tell each other besides people's requests, over a Unix socket.

::

    POST /state      name=count lines of what the plane answered alone  ->  version=7, fault=deny
    POST /remember   lines of browser and authorization request          ->  nothing
    POST /sessions   nothing        ->  revision=5, which is another one after anything of forward auth ended
    POST /v3/discovery:extension_configs   Envoy's own way to ask    ->  version and fault, as Envoy reads it
    GET  /alive      Envoy's health check                                ->  nothing

Nobody else reaches the socket (S9): its directory and its mode say who may, 0660.
"""

import asyncio
import datetime as dt
import json
import re
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter

from enforcement.decision import Release
from enforcement.gate import Gate
from enforcement.policy import Policy
from gateway.ended_sessions import EndedSessions
from gateway.forward_auth.known_sessions import stated_revision
from gateway.interception.authorization_request import may_be_read
from gateway.interception.remembered import RememberedRequests
from gateway.interception.sign_in_audit import SignInAudit
from store.audit import AuditAction
from store.errors import StoreUnavailable

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

COUNTED = ("decided", "repeated", "refused", "fault_released", "fault_denied", "let_in")
"""What a plane counts: let through by a claim, asked again through us, refused unread, the two answers while
we did not answer, and let in to a guarded application."""
BROWSER = re.compile(r"[A-Za-z0-9_-]{32}")
TARGET = re.compile(r'/[!-"$-~]*')
WAIT_SECONDS = 2.0
UNKNOWN = "unknown\n"
ENVOY_TYPES = "type.googleapis.com"

LOOKS = Counter("sparekey_data_plane_looks", "How often a native data plane asked what is in force")
ANSWERS = Counter("sparekey_data_plane_answers", "What a native data plane answered alone", ["outcome"])
_ANSWERS = {outcome: ANSWERS.labels(outcome) for outcome in COUNTED}
_AUDITED = {
    "fault_released": AuditAction.SIGN_IN_GATE_FAULT_RELEASED,
    "fault_denied": AuditAction.SIGN_IN_GATE_FAULT_DENIED,
}

log = structlog.get_logger("sparekey.data_plane")


class Exchange:
    """The WSGI application behind the socket.

    Args:
        loop: The plane's; requests are remembered there.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        remembered: RememberedRequests,
        audit: SignInAudit,
        ended: EndedSessions,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], dt.datetime],
    ) -> None:
        self._gate = gate
        self._remembered = remembered
        self._audit = audit
        self._ended = ended
        self._asking_redis = threading.Lock()
        self._loop = loop
        self._clock = clock

    def __call__(self, environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request of the plane's."""
        sent = environ["wsgi.input"].read()
        kind = "text/plain"
        match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
            case "POST", "/state":
                said = self._state(_lines(sent))
            case "POST", "/remember":
                said = self._remember(_lines(sent))
            case "POST", "/sessions":
                said = self._revision()
            case "POST", "/v3/discovery:extension_configs":
                kind, said = "application/json", envoy_state(*self._look())
            case "GET", "/alive":
                said = ""
            case _:
                start_response("404 Not Found", [("Content-Type", kind)])
                return [b""]
        start_response("200 OK", [("Content-Type", kind)])
        return [said.encode()]

    def _state(self, lines: Iterable[str]) -> str:
        self._count(dict(line.split("=", 1) for line in lines if "=" in line))
        version, fault = self._look()
        return f"version={version}\nfault={fault}\n"

    def _look(self) -> tuple[int, str]:
        """Return the policy's version in force, and its answer while we are gone."""
        LOOKS.inc()
        policy = self._policy()
        return policy.version if policy else 0, "release" if self._releases(policy) else "deny"

    def _count(self, stated: dict[str, str]) -> None:
        for outcome, counter in _ANSWERS.items():
            count = int(stated.get(outcome, "0"))
            if not count:
                continue
            counter.inc(count)
            if outcome in _AUDITED:
                log.error("sign_in_fault", outcome=outcome, count=count, where="data_plane", alarm=True)
                self._audit.record(_AUDITED[outcome], now=self._clock(), count=count, where="data_plane")

    def _policy(self) -> Policy | None:
        try:
            return self._gate.current_policy()
        except StoreUnavailable:
            return self._gate.last_known_policy()

    def _releases(self, policy: Policy | None) -> bool:
        """Tell whether every rule releases: the plane knows nobody, so any rule may be meant."""
        return policy is not None and all(
            isinstance(self._gate.on_fault(rule), Release) for rule in policy.rules
        )

    def _remember(self, lines: Iterable[str]) -> str:
        kept = [(browser, target) for browser, _, target in (line.partition(" ") for line in lines)]
        done: Future[None] = Future()

        def remember() -> None:
            for browser, target in kept:
                is_request = TARGET.fullmatch(target) and may_be_read(target.encode())
                if is_request and BROWSER.fullmatch(browser):
                    self._remembered.remember(browser, target)
            done.set_result(None)

        self._loop.call_soon_threadsafe(remember)
        done.result(WAIT_SECONDS)
        return ""

    def _revision(self) -> str:
        """Ask Redis, whatever was heard before: what counts for the plane is when it asked."""
        # A Redis that hangs keeps one thread at most, so that it never looks as if we were gone.
        if not self._asking_redis.acquire(blocking=False):
            return UNKNOWN
        try:
            return f"revision={stated_revision(self._ended.revision())}\n"
        except StoreUnavailable:
            return UNKNOWN
        finally:
            self._asking_redis.release()


def envoy_state(version: int, fault: str) -> str:
    """Return what holds as a filter that Envoy puts into every request.

    Source: Envoy 1.40, xDS REST protocol; extension configuration discovery; filter `set_metadata`.
    """
    stated = {
        "@type": f"{ENVOY_TYPES}/envoy.extensions.filters.http.set_metadata.v3.Config",
        "metadata": [
            {"metadata_namespace": "sparekey.state", "value": {"version": str(version), "fault": fault}}
        ],
    }
    kind = f"{ENVOY_TYPES}/envoy.config.core.v3.TypedExtensionConfig"
    resource = {"@type": kind, "name": "sparekey-state", "typed_config": stated}
    answer = {"version_info": f"{version}.{fault}", "type_url": kind, "resources": [resource]}
    return json.dumps(answer)


def _lines(sent: bytes) -> list[str]:
    return sent.decode("ascii", "replace").splitlines()
