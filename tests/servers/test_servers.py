"""Every server that tests rely on is the real thing, and works."""

import smtplib
import socket
import ssl

import httpx
import psycopg
import pytest
from playwright.sync_api import BrowserContext

from tests.servers import ds389 as ds
from tests.servers import keycloak as kc
from tests.servers.nginx import StartNginx
from tests.servers.postgres import Postgres
from tests.servers.relying_party import RelyingParty, StartRelyingParty
from tests.servers.slapd import PEOPLE, SERVICE_DN, SERVICE_PASSWORD, Slapd
from tests.servers.smtp import SmtpSink
from tests.servers.valkey import Valkey
from tests.servers.visitor import Visitor


def test_valkey_keeps_what_it_is_told(valkey: Valkey) -> None:
    valkey.client.set("name", "value")
    assert valkey.client.get("name") == b"value"


@pytest.mark.parametrize("turn", [1, 2])
def test_valkey_is_empty_for_every_test(valkey: Valkey, turn: int) -> None:
    assert valkey.client.dbsize() == 0
    valkey.client.set("left", "behind")


def test_valkey_listens_for_its_owner_only(valkey: Valkey) -> None:
    assert valkey.socket.parent.stat().st_mode & 0o777 == 0o700
    assert valkey.client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_postgres_gives_every_test_a_database_of_its_own(postgres: Postgres, postgres_url: str) -> None:
    name = postgres_url.partition("@/")[2].partition("?")[0]
    with postgres.connect(name) as connection:
        assert connection.execute(
            "select count(*) from pg_tables where schemaname = 'public'"
        ).fetchone() == (0,)
        connection.execute("create table left_behind ()")


def test_postgres_copies_a_filled_database(postgres: Postgres) -> None:
    def fill(url: str) -> None:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("create table filled as select 42 as answer")

    first, second = (postgres.new_database(postgres.template("filled", fill)) for _ in range(2))
    with postgres.connect(first) as one, postgres.connect(second) as two:
        one.execute("delete from filled")
        assert two.execute("select answer from filled").fetchone() == (42,)


def _send(sink: SmtpSink, *, tls: bool = True, login: tuple[str, str] | None = None) -> None:
    with smtplib.SMTP("localhost", sink.port, timeout=10) as client:
        if tls:
            client.starttls(context=ssl.create_default_context(cafile=str(sink.ca)))
        if login:
            client.login(*login)
        client.sendmail("from@example.org", ["to@example.org"], "Subject: Hello\r\n\r\nThe text\r\n")


def test_the_mail_server_keeps_what_came_in(smtp_sink: SmtpSink) -> None:
    _send(smtp_sink)
    (received,) = smtp_sink.wait(1)
    assert (received.sender, received.recipients) == ("from@example.org", ("to@example.org",))
    assert (received.message["Subject"], received.text.strip()) == ("Hello", "The text")
    assert received.encrypted


def test_the_mail_server_takes_nothing_in_the_clear(smtp_sink: SmtpSink) -> None:
    with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
        _send(smtp_sink, tls=False)
    assert smtp_sink.messages == []


def test_the_mail_server_knows_who_authenticated(smtp_sink: SmtpSink) -> None:
    smtp_sink.credentials = ("gateway", "secret")
    _send(smtp_sink, login=("gateway", "secret"))
    assert smtp_sink.wait(1)[0].username == "gateway"
    with pytest.raises(smtplib.SMTPAuthenticationError):
        _send(smtp_sink, login=("gateway", "wrong"))


def test_the_mail_server_can_be_told_to_refuse(smtp_sink: SmtpSink) -> None:
    smtp_sink.refuse = "451 Try later"
    with pytest.raises(smtplib.SMTPDataError, match="Try later"):
        _send(smtp_sink)
    assert smtp_sink.messages == []


def test_nginx_serves_what_it_is_told(nginx: StartNginx) -> None:
    server = nginx("location /hello { return 200 'hello'; }")
    assert httpx.get(f"{server.address}/hello", trust_env=False).text == "hello"


def test_chromium_shows_a_page_and_reaches_nothing_but_loopback(
    browser_context: BrowserContext, nginx: StartNginx
) -> None:
    server = nginx("location / { default_type text/html; return 200 '<title>A page</title>'; }")
    page = browser_context.new_page()
    page.goto(server.address)
    assert page.title() == "A page"
    with pytest.raises(Exception, match="ERR_NAME_NOT_RESOLVED"):
        page.goto(server.address.replace("127.0.0.1", "example.org"))


ALICE = kc.LocalPerson("alice", "correct horse")


@pytest.fixture(scope="module")
def realm(keycloak_realm: kc.MakeRealm) -> kc.Realm:
    return keycloak_realm(people=[ALICE])


def _sign_in(party: RelyingParty, person: kc.LocalPerson) -> httpx.Response:
    visitor = Visitor()
    page = visitor.follow(visitor.get(party.start))
    return visitor.submit(page, username=person.username, password=person.password)


def test_a_person_signs_in_to_an_application_and_it_verifies(
    realm: kc.Realm, relying_party: StartRelyingParty
) -> None:
    party = relying_party(realm.issuer, kc.PUBLIC_APPLICATION)
    answer = _sign_in(party, ALICE)
    assert "Signed in as alice" in answer.text
    (claims,) = party.sign_ins
    assert (claims["iss"], claims["sub"]) == (realm.issuer, realm.subject("alice"))


def test_an_application_that_takes_the_code_as_a_form_verifies_too(
    realm: kc.Realm, relying_party: StartRelyingParty
) -> None:
    party = relying_party(
        realm.issuer, kc.CONFIDENTIAL_APPLICATION, kc.APPLICATION_SECRET, response_mode="form_post"
    )
    visitor = Visitor()
    page = visitor.follow(visitor.get(party.start))
    hand_over = visitor.submit(page, username=ALICE.username, password=ALICE.password)
    assert "Signed in as alice" in visitor.submit(hand_over).text
    assert [claims["preferred_username"] for claims in party.sign_ins] == ["alice"]


def test_a_wrong_password_reaches_no_application(realm: kc.Realm, relying_party: StartRelyingParty) -> None:
    party = relying_party(realm.issuer, kc.PUBLIC_APPLICATION)
    assert "Invalid username or password" in _sign_in(party, kc.LocalPerson("alice", "wrong")).text
    assert party.sign_ins == []


def test_the_application_takes_no_answer_that_it_did_not_ask_for(
    realm: kc.Realm, relying_party: StartRelyingParty
) -> None:
    party = relying_party(realm.issuer, kc.PUBLIC_APPLICATION)
    visitor = Visitor()
    page = visitor.follow(visitor.get(party.start))
    someone_elses = Visitor().get(f"{party.callback}?code=stolen&state=forged&iss={realm.issuer}")
    assert someone_elses.status_code == 400
    visitor.submit(page, username=ALICE.username, password=ALICE.password)
    assert len(party.sign_ins) == 1
    assert len(party.refusals) == 1


def test_a_person_signs_in_with_chromium(
    realm: kc.Realm, relying_party: StartRelyingParty, browser_context: BrowserContext
) -> None:
    party = relying_party(realm.issuer, kc.PUBLIC_APPLICATION)
    page = browser_context.new_page()
    page.goto(party.start)
    page.fill("#username", ALICE.username)
    page.fill("#password", ALICE.password)
    page.click("#kc-login")
    assert page.inner_text("#signed-in") == "Signed in as alice"
    assert len(party.sign_ins) == 1


@pytest.fixture
def federated(slapd: Slapd, keycloak_realm: kc.MakeRealm) -> kc.Realm:
    directory = kc.Federation(slapd.plain_address, PEOPLE, SERVICE_DN, SERVICE_PASSWORD)
    return keycloak_realm(federation=directory)


def test_a_person_of_the_directory_signs_in_and_the_application_verifies(
    federated: kc.Realm, slapd: Slapd, relying_party: StartRelyingParty
) -> None:
    party = relying_party(federated.issuer, kc.PUBLIC_APPLICATION)
    _sign_in(party, kc.LocalPerson("bob", slapd.people["bob"].password))
    assert [claims["preferred_username"] for claims in party.sign_ins] == ["bob"]


def test_keycloak_writes_a_new_password_to_the_directory(federated: kc.Realm, slapd: Slapd) -> None:
    new = {"type": "password", "value": "A new Passw0rd", "temporary": False}
    federated.admin("PUT", f"/users/{federated.subject('bob')}/reset-password", json=new)
    assert slapd.accepts("bob", "A new Passw0rd")


def test_the_gateways_own_client_may_look_people_up_and_no_more(realm: kc.Realm) -> None:
    token = httpx.post(
        f"{realm.keycloak.address}/realms/{realm.name}/protocol/openid-connect/token",
        data={"grant_type": "client_credentials"},
        auth=(kc.GATEWAY_CLIENT, kc.GATEWAY_SECRET),
        trust_env=False,
    ).json()["access_token"]
    below = f"{realm.keycloak.address}/admin/realms/{realm.name}"
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{below}/users", headers=headers, trust_env=False).is_success
    assert httpx.get(f"{below}/clients", headers=headers, trust_env=False).status_code == 403


def test_a_realm_states_the_public_issuer_to_whoever_asks(keycloak_realm: kc.MakeRealm) -> None:
    realm = keycloak_realm(public="http://127.0.0.1:9")
    direct = f"{realm.keycloak.address}/realms/{realm.name}/.well-known/openid-configuration"
    assert httpx.get(direct, trust_env=False).json()["issuer"] == realm.issuer


@pytest.mark.parametrize("turn", [1, 2])
def test_389_ds_has_only_the_demos_people_for_every_test(ds389: ds.Ds389, turn: int) -> None:
    with ds389.as_root() as root:
        root.search(ds.PEOPLE, "(uid=*)", attributes=["uid"])
        found = {str(item["attributes"]["uid"][0]) for item in root.response}
    assert found == set(ds.NAMES)
    ds389.add(ds.dn_of(f"guest{turn}"), ["inetOrgPerson"], cn="guest", sn="guest")
    ds389.configure(passwordMinLength="30")


def test_389_ds_listens_on_loopback_alone(ds389: ds.Ds389) -> None:
    for port in (ds389.port, ds389.tls_port):
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass
