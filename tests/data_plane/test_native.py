"""What only the native planes do: decide alone what was decided, and answer while the gateway is gone."""

import contextlib
import datetime as dt
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import httpx
import pytest

from enforcement.current_policy import adopt
from gateway.data_plane.claim import Claim, cookie_suffix, mint
from store.vault import Vault
from tests.data_plane.fake_keycloak import REALM, STYLES
from tests.data_plane.site import (
    CALLBACK,
    POLICY,
    Site,
    eventually,
    has_code,
    is_held,
    restart_gateway,
)
from tests.servers.visitor import Visitor, forms

pytestmark = pytest.mark.xdist_group("data_plane")

DECIDED = f"__Host-sparekey-decided-{cookie_suffix('application')}"
COOKIE = ("localhost", "/", DECIDED)


@pytest.fixture
def site(native_site: Site) -> Site:
    return native_site


def answered(site: Site, outcome: str) -> float:
    """Return how often the plane says that it answered alone; one without a clock says so with a request."""
    site.visitor().get(site.address())
    return site.metric(f'sparekey_data_plane_answers_total{{outcome="{outcome}"}}')


def covered(site: Site, name: str) -> Visitor:
    """Return the browser of somebody who is covered and was decided about."""
    site.register(name)
    visitor = site.visitor()
    assert has_code(site.sign_in(visitor, name))
    assert COOKIE in visitor.cookies
    return visitor


def claim(site: Site, visitor: Visitor, **changes: object) -> str:
    """Return a claim for this browser's own session, true but for what is changed."""
    version = visitor.cookies[COOKIE].split(".")[0]
    session = httpx.URL(visitor.get(site.address()).headers["location"]).params["session_state"]
    facts = {
        "issuer": site.keycloak.issuer,
        "session_id": session,
        "client_id": "application",
        "redirect_uri": CALLBACK,
        "client_address": "127.0.0.1",
        "policy_version": int(version),
        "ends": dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5),
        **changes,
    }
    return mint(Claim(**facts), site.vault)  # type: ignore[arg-type]


def decided_alone(site: Site, visitor: Visitor) -> bool:
    """Tell whether the next sign-in was let through without asking the gateway."""
    before = site.metric("sparekey_requests_total")
    answer = visitor.get(site.address())
    if "-ask=1" in str(answer.headers):
        answer = visitor.get(answer.headers["location"])
    assert has_code(answer)
    return site.metric("sparekey_requests_total") == before


def test_a_decided_session_never_reaches_the_gateway(site: Site) -> None:
    visitor = covered(site, "decided")
    before = site.metric("sparekey_requests_total")
    for _ in range(20):
        assert has_code(visitor.get(site.address()))
        assert visitor.get(site.public + STYLES).status_code == 200
    assert site.metric("sparekey_requests_total") == before
    eventually(lambda: answered(site, "decided") >= 20)


def test_a_true_claim_is_believed(site: Site) -> None:
    visitor = covered(site, "true")
    visitor.cookies[COOKIE] = claim(site, visitor)
    assert decided_alone(site, visitor)


@pytest.mark.parametrize(
    "changes",
    [
        {"session_id": "another"},
        {"client_id": "another"},
        {"redirect_uri": "https://another.example/"},
        {"client_address": "127.0.0.2"},
        {"issuer": "https://another.example/realms/corp"},
        {"policy_version": 999},
        {"ends": dt.datetime(2020, 1, 1, tzinfo=dt.UTC)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_claim_of_anything_else_is_not(site: Site, changes: dict[str, object]) -> None:
    visitor = covered(site, "else")
    visitor.cookies[COOKIE] = claim(site, visitor, **changes)
    assert not decided_alone(site, visitor)


def test_a_forged_claim_is_not_believed(site: Site) -> None:
    visitor = covered(site, "forged")
    true = claim(site, visitor)
    version, ends, signature = true.split(".")
    stranger = claim(replace(site, vault=Vault([bytes(32)])), visitor)
    later, short = f"{version}.{int(ends) + 60}.{signature}", f"{version}.{ends}.AAAA"
    for forged in (stranger, later, short, "x", f"{true}=", ""):
        visitor.cookies[COOKIE] = forged
        assert not decided_alone(site, visitor), forged
        visitor.cookies.pop(("localhost", "/", "__Host-sparekey-ask"), None)


def test_a_covered_persons_claim_lets_nobody_else_in(site: Site) -> None:
    stolen = covered(site, "robbed").cookies[COOKIE]
    thief = site.visitor()
    assert is_held(site, site.sign_in(thief, "thief"))
    thief.cookies[COOKIE] = stolen
    answer = thief.get(site.address())
    assert answer.status_code == 303
    assert not has_code(answer)
    assert "KEYCLOAK_IDENTITY" not in str(answer.headers)
    assert is_held(site, thief.get(answer.headers["location"]))


def test_another_person_in_the_same_browser_is_held(site: Site) -> None:
    visitor = covered(site, "first")
    assert is_held(site, site.sign_in(visitor, "second", prompt="login"))
    answer = visitor.get(site.address())
    assert not has_code(answer)
    assert "-ask=1" in str(answer.headers)
    assert is_held(site, visitor.get(answer.headers["location"]))


def test_a_new_policy_ends_every_claim(site: Site) -> None:
    visitor = covered(site, "before")
    assert decided_alone(site, visitor)
    put_in_force(site, POLICY.format(on_fault="deny").replace("Everyone", "Everyone again"))
    assert not decided_alone(site, visitor)
    assert decided_alone(site, visitor)


def put_in_force(site: Site, policy: str) -> None:
    """Take a policy into force, and wait until the plane has heard of it."""
    adopt(site.database, policy, author="test", now=dt.datetime.now(dt.UTC))
    looks = site.metric("sparekey_data_plane_looks_total")
    eventually(lambda: site.metric("sparekey_data_plane_looks_total") > looks + 8)


def test_public_documents_are_asked_for_without_anything_of_the_person(site: Site) -> None:
    visitor = covered(site, "reader")
    for path in (STYLES, f"{REALM}/.well-known/openid-configuration"):
        visitor.client.get(f"{site.public}{path}", headers={"Cookie": "a=b", "Authorization": "Bearer x"})
        seen = site.keycloak.requests[-1][2]
        assert not {"cookie", "authorization"} & seen.keys()
    assert visitor.client.post(site.public + STYLES).status_code == 405


def test_connections_to_the_provider_are_reused(site: Site) -> None:
    visitor = covered(site, "reuse")
    before = site.keycloak.connections
    for _ in range(30):
        visitor.get(site.address())
        visitor.get(site.public + STYLES)
    # Two workers, each with its own; the gateway behind them has some more.
    assert site.keycloak.connections - before <= 2


def test_http_2_is_spoken_at_the_edge(site: Site) -> None:
    """A page of the provider's, one of the gateway's, and a form that goes through both."""
    curl = ["curl", "--silent", "--http2", "--cacert", site.folder / "authority.pem", "--cookie", "a=b; c=d"]
    said = ["--output", "/dev/null", "--write-out", "%{http_version} %{http_code}"]
    realm = f"{site.public}{REALM}"
    for more in ([site.address()], [f"{realm}/account"], ["--data", "x=y", f"{realm}/x"]):
        command = [str(word) for word in (*curl, *said, *more)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "2 200"


def test_no_log_holds_a_query_or_a_cookie(site: Site) -> None:
    visitor = covered(site, "logged")
    visitor.get(site.address(state="SECRETSTATE"))
    folder = site.folder / site.plane
    logs = [path for path in folder.iterdir() if path.name.endswith("log")]
    eventually(lambda: b'"why":"decided"' in (folder / "access.log").read_bytes())
    assert len(logs) >= 2
    for log in logs:
        text = log.read_text()
        assert not re.search(r"SECRETSTATE|state=|code=|KEYCLOAK_IDENTITY|redirect_uri", text)


def test_the_socket_is_the_gateways_and_its_groups_alone(site: Site) -> None:
    assert (site.folder / "edge.sock").stat().st_mode & 0o777 == 0o660


@contextlib.contextmanager
def gone(site: Site) -> Iterator[None]:
    """Kill the gateway, and start it again afterwards."""
    site.kill_gateway()
    try:
        yield
    finally:
        restart_gateway(site)


class Load:
    """Somebody uncovered who tries to get in, over and over, in a thread."""

    def __init__(self, site: Site, name: str) -> None:
        self.statuses: list[int] = []
        self.codes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(site, name))

    def _run(self, site: Site, name: str) -> None:
        while not self._stop.is_set():
            visitor = site.visitor()
            page = visitor.get(site.address())
            self.statuses.append(page.status_code)
            if page.status_code != 200:
                continue
            answer = visitor.post(forms(page)[0].action, {"username": name, "password": "x"})
            self.statuses.append(answer.status_code)
            self.codes += has_code(answer)
            answer = visitor.get(site.address())
            self.codes += has_code(answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


def test_while_the_gateway_is_gone_covered_people_get_in_and_nobody_else(site: Site) -> None:
    put_in_force(site, POLICY.format(on_fault="deny"))
    visitor = covered(site, "calm")
    assert decided_alone(site, visitor)
    with Load(site, "stormy") as load, gone(site):
        # Only once it is known that the gateway is gone do steps go round it.
        tokens = f"{site.public}{REALM}/protocol/openid-connect/token"
        eventually(lambda: visitor.client.post(tokens).status_code == 400)
        seen = len(load.statuses)
        eventually(lambda: len(load.statuses) > seen + 6)
        for _ in range(5):
            assert has_code(visitor.get(site.address()))
        assert visitor.get(f"{site.public}/sparekey/reset").status_code == 503
        assert visitor.get(site.address(client_id="another")).status_code == 503
    assert load.codes == 0
    assert {200, 503} <= {*load.statuses}
    eventually(lambda: answered(site, "fault_denied") > 0)
    eventually(lambda: is_held(site, site.sign_in(site.visitor(), "stormy")))


def test_while_the_gateway_is_gone_a_policy_may_let_everybody_in(site: Site) -> None:
    put_in_force(site, POLICY.format(on_fault="release"))
    assert is_held(site, site.sign_in(site.visitor(), "lucky"))
    with gone(site):
        eventually(lambda: has_code(site.sign_in(site.visitor(), "lucky")))
    eventually(lambda: answered(site, "fault_released") > 0)
    eventually(lambda: is_held(site, site.sign_in(site.visitor(), "lucky")))
