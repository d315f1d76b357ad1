"""People who sign in to an application at Keycloak, by whatever stands in front of it."""

import datetime as dt
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from benchmarks.gateway import Gateway
from benchmarks.harness import Unfit
from gateway.settings import load as load_settings
from gateway.stores import open_database
from store.database import Database
from tests.servers import keycloak as kc
from tests.servers.visitor import Visitor, forms

COVERED = [kc.LocalPerson(f"person{number:02}", f"Passw0rd-{number}") for number in range(8)]
UNREGISTERED = [kc.LocalPerson(f"newcomer{number:02}", f"Passw0rd-{number}") for number in range(4)]
CALLBACK = "http://127.0.0.1/callback"


@dataclass(frozen=True, slots=True)
class Register:
    """What people have registered at one gateway, written past its pages."""

    database: Database
    subjects: dict[str, str]
    """By user name."""
    issuer: str

    def add(self, person: kc.LocalPerson) -> None:
        """Cover somebody."""
        now = dt.datetime.now(dt.UTC)
        with self.database.transaction() as transaction:
            recorded = transaction.people.ensure(self.issuer, self.subjects[person.username], now=now)
            address = f"{person.username}@example.org".encode()
            transaction.authenticators.add(
                recorded.id, "email", address, now=now, trusted_from=now, provenance="self"
            )

    def empty(self, person: kc.LocalPerson) -> None:
        """Leave somebody without any way back in."""
        with self.database.transaction() as transaction:
            recorded = transaction.people.by_subject(self.issuer, self.subjects[person.username])
            for registered in transaction.authenticators.of(recorded.id) if recorded else ():
                transaction.authenticators.remove(registered.id)


@contextmanager
def register(of: Gateway, realm: kc.Realm) -> Iterator[Register]:
    """Open a gateway's register, with everybody in it who is to be covered."""
    database = open_database(load_settings(of.settings))
    people = (*COVERED, *UNREGISTERED)
    opened = Register(
        database, {person.username: realm.subject(person.username) for person in people}, realm.issuer
    )
    try:
        for person in COVERED:
            opened.add(person)
        yield opened
    finally:
        database.dispose()


def sign_in(origin: str, realm: kc.Realm, person: kc.LocalPerson) -> None:
    """Ask for the page, give the password, redeem the code; all at one origin.

    Raises:
        Unfit: Somebody did not get in.
    """
    with _client() as client:
        answer = _with_password(Visitor(client), origin, realm, person)
    _redeem(origin, realm, answer)


def sign_in_held(origin: str, realm: kc.Realm, person: kc.LocalPerson, people: Register) -> None:
    """Sign in, be held and shown what is missing; be covered by then, and go on.

    Raises:
        Unfit: Somebody was not held, or did not get in.
    """
    people.empty(person)
    with _client() as client:
        visitor = Visitor(client)
        held = _with_password(visitor, origin, realm, person).headers.get("location", "")
        if "/sparekey/hold/" not in held:
            raise Unfit(f"not held: {held.partition('?')[0]}")
        visitor.follow(visitor.get(held))
        people.add(person)
        page = visitor.get(held)
        form = forms(page)[0]
        answer = visitor.follow(visitor.post(form.action, form.fields), until=CALLBACK)
    _redeem(origin, realm, answer)


def _client() -> httpx.Client:
    """Return a client that keeps its connection, as browsers and applications do."""
    return httpx.Client(trust_env=False, timeout=30)


def _with_password(visitor: Visitor, origin: str, realm: kc.Realm, person: kc.LocalPerson) -> httpx.Response:
    query = {
        "client_id": kc.CONFIDENTIAL_APPLICATION,
        "response_type": "code",
        "scope": "openid",
        "redirect_uri": CALLBACK,
        "state": secrets.token_urlsafe(12),
        "nonce": secrets.token_urlsafe(12),
    }
    page = visitor.get(f"{origin}/realms/{realm.name}/protocol/openid-connect/auth?{urlencode(query)}")
    action = urlsplit(forms(page)[0].action)
    # Keycloak writes the public origin into the form, whoever asked.
    return visitor.post(
        f"{origin}{action.path}?{action.query}",
        {"username": person.username, "password": person.password, "credentialId": ""},
    )


def _redeem(origin: str, realm: kc.Realm, answer: httpx.Response) -> None:
    location = answer.headers.get("location", "")
    if not location.startswith(CALLBACK):
        raise Unfit(f"no sign-in at {origin}: {answer.status_code} {location.partition('?')[0]}")
    fields = {
        "grant_type": "authorization_code",
        "client_id": kc.CONFIDENTIAL_APPLICATION,
        "client_secret": kc.APPLICATION_SECRET,
        "code": parse_qs(urlsplit(location).query)["code"][0],
        "redirect_uri": CALLBACK,
    }
    token = f"{origin}/realms/{realm.name}/protocol/openid-connect/token"
    with _client() as application:
        redeemed = application.post(token, data=fields)
    if redeemed.status_code != httpx.codes.OK:
        raise Unfit(f"the code was not redeemed at {origin}: {redeemed.status_code}")
