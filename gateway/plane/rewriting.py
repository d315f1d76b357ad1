"""Which header fields pass, in each direction. Names are looked up once per spelling, then remembered."""

import enum
import functools
from collections.abc import Callable, Iterable

Field = tuple[bytes, bytes]
"""Name and value as sent."""

REMEMBERED_SPELLINGS = 1024
"""A bound, because the spellings are chosen by strangers."""


class Treatment(enum.IntEnum):
    """What happens to a header field. Integers, because they are hashed for every field."""

    PASS = enum.auto()
    DROP = enum.auto()
    HOST = enum.auto()
    LENGTH = enum.auto()
    TRANSFER = enum.auto()
    CONNECTION = enum.auto()
    EXPECT = enum.auto()
    COOKIE = enum.auto()
    SET_COOKIE = enum.auto()
    ACCEPT_ENCODING = enum.auto()
    CONTENT_ENCODING = enum.auto()
    FORWARDED = enum.auto()
    FORWARDED_FOR = enum.auto()
    FORWARDED_HOST = enum.auto()
    SERVICE_WORKER = enum.auto()
    VALIDATOR = enum.auto()


HOP_BY_HOP = {
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"upgrade",
    b"http2-settings",
}
"""Source: RFC 9110 section 7.6.1; RFC 7540 section 3.2.1."""

REQUEST_FIELDS = {
    **dict.fromkeys(HOP_BY_HOP, Treatment.DROP),
    b"host": Treatment.HOST,
    b"content-length": Treatment.LENGTH,
    b"transfer-encoding": Treatment.TRANSFER,
    b"connection": Treatment.CONNECTION,
    b"expect": Treatment.EXPECT,
    b"cookie": Treatment.COOKIE,
    b"accept-encoding": Treatment.ACCEPT_ENCODING,
    b"forwarded": Treatment.FORWARDED,
    b"x-forwarded-for": Treatment.FORWARDED_FOR,
    b"x-forwarded-host": Treatment.FORWARDED_HOST,
    b"service-worker": Treatment.SERVICE_WORKER,
    # Security: a part of a page is never inspected (S8).
    b"range": Treatment.DROP,
    b"if-range": Treatment.DROP,
    # Security: other names under which a client states its own address or another target (S13).
    b"x-real-ip": Treatment.DROP,
    b"x-rewrite-url": Treatment.DROP,
}

# Security: only this gateway, or a proxy in front that is trusted, may state who somebody is (S13).
REQUEST_PREFIXES = (
    b"remote-",
    b"x-original-",
    b"x-forwarded-",
    b"x-accel-",
    b"x-sparekey-",
    # Certificates that a proxy saw. Source: RFC 9440; Keycloak 26.4, X.509 lookup providers.
    b"client-cert",
    b"ssl-client-",
    b"ssl-cert-",
    b"cert-chain",
    b"x-ssl-",
    b"x-tls-",
    b"x-client-cert",
    b"x-client-verify",
    b"x-client-dn",
    b"x-arr-clientcert",
    b"x-amzn-mtls-",
)

RESPONSE_FIELDS = {
    **dict.fromkeys(HOP_BY_HOP, Treatment.DROP),
    b"content-length": Treatment.LENGTH,
    b"transfer-encoding": Treatment.TRANSFER,
    b"connection": Treatment.CONNECTION,
    b"content-encoding": Treatment.CONTENT_ENCODING,
    b"set-cookie": Treatment.SET_COOKIE,
    # Security: no script of the identity provider may reach over our pages (S22).
    b"service-worker-allowed": Treatment.DROP,
    # Security: an Envoy in front would take us for dead, and the policy's fault answer would hold (S10).
    b"x-envoy-immediate-health-check-fail": Treatment.DROP,
    b"accept-ranges": Treatment.VALIDATOR,
    b"content-digest": Treatment.VALIDATOR,
    b"content-md5": Treatment.VALIDATOR,
    b"digest": Treatment.VALIDATOR,
    b"etag": Treatment.VALIDATOR,
    b"last-modified": Treatment.VALIDATOR,
    b"repr-digest": Treatment.VALIDATOR,
}
"""VALIDATOR fields speak of exact bytes; they pass unless the page is changed."""

OWN_COOKIES = (b"sparekey", b"__host-sparekey", b"__secure-sparekey")
"""Lower-case beginnings of the names of our own cookies."""


def request_treatment(name: bytes) -> Treatment:
    """Return what happens to a field that a client sent."""
    lower = name.lower()
    # Security: `X_User` and `X-User` are the same to CGI-like applications (S13).
    if b"_" in lower or (lower.startswith(REQUEST_PREFIXES) and lower not in REQUEST_FIELDS):
        return Treatment.DROP
    return REQUEST_FIELDS.get(lower, Treatment.PASS)


def response_treatment(name: bytes) -> Treatment:
    """Return what happens to a field that the identity provider sent."""
    return RESPONSE_FIELDS.get(name.lower(), Treatment.PASS)


class Treatments:
    """The treatment of each spelling met so far.

    `known` is looked into directly, and `learn` is called where that fails: this runs for every field.
    """

    def __init__(self, decide: Callable[[bytes], Treatment]) -> None:
        self.known: dict[bytes, Treatment] = {}
        self._decide = decide

    def learn(self, name: bytes) -> Treatment:
        """Return the treatment of a spelling that is not known, and remember it."""
        treatment = self._decide(name)
        if len(self.known) < REMEMBERED_SPELLINGS:
            self.known[name] = treatment
        return treatment

    def of(self, name: bytes) -> Treatment:
        """Return the treatment of any spelling."""
        return self.known.get(name) or self.learn(name)


def without_own_cookies(value: bytes) -> bytes:
    """Return a `Cookie` field's value without our own cookies; empty where nothing is left.

    Security: our cookies open holds and portal sessions; the identity provider never sees them (S22).
    """
    if b"sparekey" not in value.lower():
        return value
    pairs = [pair for pair in value.split(b";") if not pair.strip().lower().startswith(OWN_COOKIES)]
    return b";".join(pairs).strip()


def is_own_cookie(set_cookie: bytes) -> bool:
    """Tell whether a `Set-Cookie` value sets a cookie of ours (S22)."""
    return set_cookie.lstrip().lower().startswith(OWN_COOKIES)


@functools.lru_cache(maxsize=256)
def named_by_connection(value: bytes) -> frozenset[bytes]:
    """Return the lower-case tokens of a `Connection` field."""
    return frozenset(token.strip().lower() for token in value.split(b","))


def without_named(fields: list[Field], connection: bytes) -> list[Field]:
    """Return the fields that `Connection` does not call hop-by-hop. Source: RFC 9110 section 7.6.1."""
    names = named_by_connection(connection) - {b"close", b"keep-alive"}
    return [field for field in fields if field[0].lower() not in names] if names else fields


def lines(fields: Iterable[Field]) -> bytes:
    """Return the fields in exact bytes, each after a line end; empty for none."""
    return b"\r\n".join((b"", *map(b": ".join, fields)))
