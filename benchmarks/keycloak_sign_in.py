"""A complete sign-in at a real Keycloak, directly and through the gateway."""

import contextlib
import datetime as dt
import itertools
import os
import secrets
import statistics
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

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

Spent = dict[str, list[float]]


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
        return _result(*_measure(server, ours, realm))


@contextlib.contextmanager
def _keycloak() -> Iterator[kc.Keycloak]:
    """Start Keycloak as it ships, with both compilers and its own collector, on the load's core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {LOAD_CORE})
    try:
        with kc.serving(java="-Dsparekey.bench=yes") as server:
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


def _measure(server: kc.Keycloak, ours: Gateway, realm: kc.Realm) -> tuple[Spent, Spent]:
    keycloak = Service("Keycloak", 0, server.pid)
    people = itertools.cycle(PEOPLE)
    origins = (server.address, realm.public)
    for origin, _ in zip(itertools.cycle(origins), range(WARM_UP), strict=False):
        _sign_in(origin, realm, next(people))
    direct: Spent = {"keycloak": [], "gateway": []}
    through: Spent = {"keycloak": [], "gateway": []}
    for turn in range(ROUNDS):
        order = [(origins[0], direct), (origins[1], through)]
        for origin, spent in order if turn % 2 == 0 else reversed(order):
            asked = [keycloak.cpu_seconds, ours.service.cpu_seconds]
            before = [ask() for ask in asked]
            for _ in range(SIGN_INS):
                _sign_in(origin, realm, next(people))
            after = [ask() for ask in asked]
            for who, began, ended in zip(("keycloak", "gateway"), before, after, strict=True):
                spent[who].append((ended - began) / SIGN_INS * 1000)
    return direct, through


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


def _result(direct: Spent, through: Spent) -> Result:
    before, after = statistics.median(direct["keycloak"]), statistics.median(through["keycloak"])
    ours = statistics.median(through["gateway"])
    return Result(
        title="A complete Keycloak sign-in",
        method=(
            f"Page, password (argon2, Keycloak's default), code redeemed; people who are covered. {SIGN_INS} "
            f"sign-ins in each of {ROUNDS} interleaved rounds, after {WARM_UP} to warm up."
        ),
        columns=("", "Keycloak CPU ms", "gateway CPU ms", "gateway / Keycloak"),
        rows=[
            ("direct", f"{before:.1f}", "", ""),
            ("through Sparekey", f"{after:.1f}", f"{ours:.2f}", f"{ours / after:.1%}"),
        ],
        targets=[
            Target("added CPU at most 5 % of Keycloak's own", f"{ours / before:.1%}", ours / before <= 0.05),
            Target(
                "nothing added inside Keycloak (within noise: 5 %)",
                f"{(after - before) / before:+.1%}",
                after <= before * 1.05,
            ),
        ],
    )
