"""A complete sign-in at a real Keycloak: directly, through a plain nginx, and through the gateway.

Keycloak's own CPU time moves with whatever runs beside it on the machine, and with how the requests come to
it; so what the gateway adds inside it is told against nginx in the gateway's place, and its requests are
counted one by one.
"""

import contextlib
import datetime as dt
import itertools
import os
import secrets
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from benchmarks import others
from benchmarks.gateway import Address, Gateway, gateway
from benchmarks.harness import LOAD_CORE, Service, Unfit
from benchmarks.table import Result, Target
from gateway.settings import load as load_settings
from gateway.stores import open_database
from tests.servers import keycloak as kc
from tests.servers.visitor import Visitor, forms

PEOPLE = [kc.LocalPerson(f"person{number:02}", f"Passw0rd-{number}") for number in range(40)]
WARM_UP = 240
SIGN_INS = 60
ROUNDS = 6
CALLBACK = "http://127.0.0.1/callback"

REQUESTS = 3
"""Of one sign-in: page, password, code."""


@dataclass
class Way:
    """One way to Keycloak, and what sign-ins by it cost."""

    name: str
    origin: str
    proxy: Service | None
    """What stands in front."""
    keycloak_ms: list[float] = field(default_factory=list)
    """CPU time of Keycloak per sign-in, of each round."""
    proxy_ms: list[float] = field(default_factory=list)
    requests: int = 0
    """That Keycloak answered."""

    @property
    def keycloak(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.keycloak_ms)

    @property
    def proxy_cost(self) -> float:
        """As `keycloak`, of the proxy."""
        return statistics.median(self.proxy_ms)

    @property
    def per_sign_in(self) -> float:
        """Requests that Keycloak answered."""
        return self.requests / (SIGN_INS * ROUNDS)


def run(folder: Path) -> Result:
    """Compare the CPU time of Keycloak and of the gateway, per sign-in."""
    folder.mkdir(parents=True)
    at = Address.free()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_keycloak())
        realm = _realm(server, at.public)
        ours = stack.enter_context(
            gateway(
                folder / "gateway",
                at,
                idp_address=server.address,
                issuer=realm.issuer,
                client=(kc.GATEWAY_CLIENT, kc.GATEWAY_SECRET),
            )
        )
        _register(ours, realm)
        plain = stack.enter_context(others.nginx(folder / "nginx", urlsplit(server.address).port or 80))
        ways = [
            Way("direct", server.address, None),
            Way("through nginx", f"http://127.0.0.1:{plain.port}", plain),
            Way("through Sparekey", realm.public, ours.service),
        ]
        _measure(server, ways, realm)
        return _result(ways)


@contextlib.contextmanager
def _keycloak() -> Iterator[kc.Keycloak]:
    """Start Keycloak as it ships, with both compilers and its own collector, on the load's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        log = {"http-access-log-enabled": "true"}
        with kc.serving(log, java="-Dsparekey.bench=yes") as server:
            os.sched_setaffinity(0, before)
            yield server
    finally:
        os.sched_setaffinity(0, before)


def _realm(server: kc.Keycloak, public: str) -> kc.Realm:
    return kc.make_realm(server, "bench", public=public, people=PEOPLE)


def _register(ours: Gateway, realm: kc.Realm) -> None:
    """Cover everybody, so that every sign-in is decided and let go."""
    settings, now = load_settings(ours.settings), dt.datetime.now(dt.UTC)
    database = open_database(settings)
    with database.transaction() as transaction:
        for person in PEOPLE:
            recorded = transaction.people.ensure(realm.issuer, realm.subject(person.username), now=now)
            address = f"{person.username}@example.org".encode()
            transaction.authenticators.add(
                recorded.id, "email", address, now=now, trusted_from=now, provenance="self"
            )
    database.dispose()


def _measure(server: kc.Keycloak, ways: list[Way], realm: kc.Realm) -> None:
    keycloak = Service("Keycloak", 0, server.pid)
    people = itertools.cycle(PEOPLE)
    for way, _ in zip(itertools.cycle(ways), range(WARM_UP), strict=False):
        _sign_in(way.origin, realm, next(people))
    for turn in range(ROUNDS):
        for way in ways if turn % 2 == 0 else reversed(ways):
            answered = _answered(server)
            keycloak_before, proxy_before = keycloak.cpu_seconds(), _cpu_seconds(way.proxy)
            for _ in range(SIGN_INS):
                _sign_in(way.origin, realm, next(people))
            way.keycloak_ms.append((keycloak.cpu_seconds() - keycloak_before) / SIGN_INS * 1000)
            way.proxy_ms.append((_cpu_seconds(way.proxy) - proxy_before) / SIGN_INS * 1000)
            way.requests += _answered(server) - answered


def _cpu_seconds(proxy: Service | None) -> float:
    return proxy.cpu_seconds() if proxy else 0.0


def _answered(server: kc.Keycloak) -> int:
    """Return how many requests Keycloak has written into its log."""
    return server.log.read_bytes().count(b" HTTP/1.") if server.log else 0


def _sign_in(origin: str, realm: kc.Realm, person: kc.LocalPerson) -> None:
    """Ask for the page, give the password, redeem the code; all at one origin."""
    visitor = Visitor()
    oidc = f"{origin}/realms/{realm.name}/protocol/openid-connect"
    query = {
        "client_id": kc.CONFIDENTIAL_APPLICATION,
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": CALLBACK,
        "state": secrets.token_urlsafe(12),
        "nonce": secrets.token_urlsafe(12),
    }
    page = visitor.get(f"{oidc}/auth?{urlencode(query)}")
    action = urlsplit(forms(page)[0].action)
    # Keycloak writes the public origin into the form, whoever asked.
    answer = visitor.post(
        f"{origin}{action.path}?{action.query}",
        {"username": person.username, "password": person.password, "credentialId": ""},
    )
    location = answer.headers.get("location", "")
    if not location.startswith(CALLBACK):
        raise Unfit(f"no sign-in at {origin}: {answer.status_code} {location.partition('?')[0]}")
    redeemed = visitor.post(
        f"{oidc}/token",
        {
            "grant_type": "authorization_code",
            "client_id": kc.CONFIDENTIAL_APPLICATION,
            "client_secret": kc.APPLICATION_SECRET,
            "code": parse_qs(urlsplit(location).query)["code"][0],
            "redirect_uri": CALLBACK,
        },
    )
    if redeemed.status_code != 200:
        raise Unfit(f"the code was not redeemed at {origin}: {redeemed.status_code}")


def _result(ways: list[Way]) -> Result:
    direct, plain, ours = ways
    inside = ours.keycloak / plain.keycloak - 1
    added = (ours.keycloak - plain.keycloak + ours.proxy_cost) / plain.keycloak
    return Result(
        title="A complete Keycloak sign-in",
        method=(
            "Page, password (argon2, Keycloak's default), code redeemed; people who are covered. "
            f"{SIGN_INS} sign-ins in each of {ROUNDS} interleaved rounds, after {WARM_UP} to warm up. "
            "Keycloak's own CPU time depends on how requests come to it and on what else runs on the "
            "machine: what Sparekey adds is told against a plain nginx in its place."
        ),
        columns=("", "Keycloak CPU ms", "proxy CPU ms", "proxy / Keycloak", "requests to Keycloak"),
        rows=[
            (
                way.name,
                f"{way.keycloak:.1f}",
                f"{way.proxy_cost:.2f}" if way.proxy else "",
                f"{way.proxy_cost / way.keycloak:.1%}" if way.proxy else "",
                f"{way.per_sign_in:.2f}",
            )
            for way in ways
        ],
        targets=[
            Target(
                "Sparekey's own CPU at most 3 % of Keycloak's",
                _share(ours),
                ours.proxy_cost <= 0.03 * ours.keycloak,
            ),
            Target(
                "requests that Keycloak answers: no more than direct",
                f"{ours.per_sign_in:.2f}",
                ours.requests <= direct.requests,
            ),
            Target("nothing added inside Keycloak (within noise: 5 %)", f"{inside:+.1%}", inside <= 0.05),
            Target("altogether, against nginx: at most 3 %", f"{added:+.1%}", added <= 0.03),
        ],
    )


def _share(way: Way) -> str:
    return f"{way.proxy_cost / way.keycloak:.1%}"
