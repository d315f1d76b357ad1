"""What Envoy reads in its own way: fields, codings, its own header names, and a script that fails."""

import contextlib
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from tests.data_plane.alone import Alone, settings_alone
from tests.data_plane.fake_keycloak import AUTHORIZATION, ODD, REALM, STYLES, FakeKeycloak, fake_keycloak
from tests.data_plane.site import CALLBACK, Site, has_code, is_held
from tests.data_plane.test_native import COOKIE, covered
from tests.servers import envoy_edge
from tests.servers.processes import free_port
from tests.servers.visitor import forms

pytestmark = pytest.mark.xdist_group("data_plane")

HTML = ("Content-Type", "text/html;charset=utf-8")


@pytest.fixture
def site(envoy_site: Site) -> Site:
    envoy_site.keycloak.planted.clear()
    return envoy_site


def ask(site: Site, head: str, body: bytes = b"") -> bytes:
    """Send exactly this to the edge; return the first that comes."""
    port = httpx.URL(site.public).port
    with (
        socket.create_connection(("localhost", port), timeout=20) as plain,
        site.trust.wrap_socket(plain, server_hostname="localhost") as stream,
    ):
        text = f"{head}\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
        stream.sendall(text.encode().replace(b"\r\n\r\n\r\n", b"\r\n\r\n") + body)
        return stream.recv(65536)


@pytest.mark.parametrize("second", ["https://evil.example/", f"{CALLBACK}?code=other"])
def test_a_second_location_makes_a_claim_worthless(site: Site, second: str) -> None:
    visitor = covered(site, "twofold")
    session = httpx.URL(visitor.get(site.address()).headers["location"]).params["session_state"]
    assert COOKIE in visitor.cookies
    good = f"{CALLBACK}?code=abc&session_state={session}&state=x"
    site.keycloak.planted[AUTHORIZATION] = (302, [("Location", good), ("Location", second)], b"")
    answer = visitor.get(site.address())
    assert answer.headers["location"].startswith(f"{site.public}{AUTHORIZATION}")
    assert not has_code(visitor.get(answer.headers["location"]))


FRAMINGS = {
    "length_and_chunked": "Content-Length: 4\r\nTransfer-Encoding: chunked",
    "two_lengths": "Content-Length: 4\r\nContent-Length: 40",
    "odd_coding": "Transfer-Encoding: xchunked",
    "length_with_sign": "Content-Length: +4",
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_a_body_whose_length_is_unclear_is_refused(site: Site, name: str) -> None:
    before = len(site.keycloak.requests)
    head = f"POST {REALM}/account HTTP/1.1\r\n{FRAMINGS[name]}"
    said = ask(site, head, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n")
    assert said.split()[1] in {b"400", b"501"}
    assert len(site.keycloak.requests) == before


def test_a_get_with_a_body_takes_no_short_way(site: Site) -> None:
    assert b" 400 " in ask(site, f"GET {STYLES} HTTP/1.1\r\nContent-Length: 4", b"abcd")[:20]
    before = site.metric("sparekey_requests_total")
    target = httpx.URL(site.address()).raw_path.decode()
    ask(site, f"GET {target} HTTP/1.1\r\nContent-Length: 4", b"abcd")
    assert site.metric("sparekey_requests_total") == before + 1


@pytest.mark.parametrize("path", ["authorization", f"{REALM}/account"])
def test_cookies_pass_whole_or_are_refused(site: Site, path: str) -> None:
    address = site.address() if path == "authorization" else site.public + path
    client = site.visitor().client
    sent = "; ".join(f"name{number}={'x' * 1000}" for number in range(24))
    assert client.get(address, headers={"Cookie": sent}).status_code == 200
    assert site.keycloak.requests[-1][2]["cookie"] == sent
    before = len(site.keycloak.requests)
    assert client.get(address, headers={"Cookie": f"a={'x' * 65_536}"}).status_code == 431
    assert len(site.keycloak.requests) == before


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_cookies_in_several_fields_are_one(site: Site, version: str) -> None:
    curl = ["curl", "--silent", version, "--cacert", str(site.folder / "authority.pem")]
    crumbs = ("a=1", "sparekey-session=mine", "b=2; __Host-sparekey-x=mine", "c=3")
    fields = [word for crumb in crumbs for word in ("--header", f"Cookie: {crumb}")]
    subprocess.run([*curl, *fields, site.address()], check=True, capture_output=True)
    assert site.keycloak.requests[-1][2]["cookie"].replace("; ", ";") == "a=1;b=2;c=3"


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_a_session_in_a_crumb_is_seen(site: Site, version: str) -> None:
    visitor = site.visitor()
    assert is_held(site, site.sign_in(visitor, "crumbs"))
    (identity,) = (value for (_, _, name), value in visitor.cookies.items() if name == "KEYCLOAK_IDENTITY")
    curl = ["curl", "--silent", version, "--cacert", str(site.folder / "authority.pem"), "--include"]
    fields = ["--header", "Cookie: a=1", "--header", f"Cookie: KEYCLOAK_IDENTITY={identity}"]
    said = subprocess.run([*curl, *fields, site.address()], check=True, capture_output=True).stdout
    assert b"/sparekey/hold/" in said


def test_an_answer_that_is_cut_is_never_taken_for_whole(site: Site) -> None:
    cut = ("Content-Length", "5000")
    site.keycloak.planted[AUTHORIZATION] = (200, [HTML, cut], b"<html>half")
    site.keycloak.planted[STYLES] = (200, [("Content-Type", "text/css"), cut], b"half")
    for address in (site.address(), site.public + STYLES):
        try:
            answer = site.visitor().get(address)
        except httpx.RemoteProtocolError:
            continue
        assert answer.status_code >= 500
        assert b"half" not in answer.content


def test_chunked_pages_are_read_and_get_the_link(site: Site) -> None:
    page = b'<html><form id="kc-form-login"><input type="password"></form></html>'
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, page[at : at + 1]) for at in range(len(page))) + b"0\r\n\r\n"
    site.keycloak.planted[AUTHORIZATION] = (200, [HTML, ("Transfer-Encoding", "chunked")], chunks)
    answer = site.visitor().get(site.address())
    assert b'id="sparekey-link"' in answer.content
    assert answer.headers["content-length"] == str(len(answer.content))


def test_nobody_outside_steers_envoy(site: Site) -> None:
    steering = {
        "X-Envoy-Upstream-Rq-Timeout-Ms": "1",
        "X-Envoy-Retry-On": "5xx",
        "X-Envoy-Original-Path": "/admin",
        "X-Sparekey-Lane": "direct",
        "X-Request-Id": "<script>",
    }
    for address in (site.address(), f"{site.public}{REALM}/account", site.public + STYLES):
        before = site.metric("sparekey_requests_total")
        assert site.visitor().client.get(address, headers=steering).status_code == 200
        seen = site.keycloak.requests[-1][2]
        assert not {name for name in seen if name.startswith(("x-envoy", "x-sparekey", "x-request"))}
        reached = site.metric("sparekey_requests_total") - before
        assert reached == (1 if address.endswith("/account") else 0)


def test_no_answer_of_the_provider_says_that_the_gateway_is_gone(site: Site) -> None:
    said = [("X-Envoy-Immediate-Health-Check-Fail", "true"), ("X-Sparekey-Why", "fault_denied 1")]
    site.keycloak.planted["odd"] = (200, [*said, ("Content-Type", "text/plain")], b"x")
    before = site.metric("sparekey_data_plane_answers_total")
    for _ in range(4):
        assert "x-sparekey-why" not in site.visitor().get(f"{site.public}{ODD}odd").headers
        reached = site.metric("sparekey_requests_total")
        assert site.visitor().get(f"{site.public}{REALM}/account").status_code == 200
        assert site.metric("sparekey_requests_total") == reached + 1
    assert site.metric("sparekey_data_plane_answers_total") == before


NEARLY_PLAIN = {
    "twice": "&state=y",
    "twice_escaped": "&st%61te=y",
    "other": "&prompt=none",
    "capital": "&STATE=y",
    "no_name": "&=y",
    "no_value": "&nonce",
    "open_end": "&",
    "two_ends": "&&nonce=y",
    "second_query": "?state=y&nonce=y?client_id=b&client_id=c",
}


@pytest.mark.parametrize("name", NEARLY_PLAIN)
def test_only_a_plain_request_takes_the_short_way(site: Site, name: str) -> None:
    for address, is_short in ((site.address(state="x"), True), (site.address() + NEARLY_PLAIN[name], False)):
        before = site.metric("sparekey_requests_total")
        site.visitor().get(address)
        assert site.metric("sparekey_requests_total") == before + (not is_short)


def test_a_request_with_credentials_takes_no_short_way(site: Site) -> None:
    before = site.metric("sparekey_requests_total")
    site.visitor().client.get(site.address(), headers={"Authorization": "Basic eDp5"})
    assert site.metric("sparekey_requests_total") == before + 1


def test_of_a_document_only_listed_fields_are_asked_with(site: Site) -> None:
    sent = ("Accept", "Accept-Language", "If-None-Match", "Origin", "User-Agent")
    not_sent = (
        "A",
        "Ac",
        "Accept-Languages",
        "Accept-",
        "If-Range",
        "Originator",
        "X-Api-Key",
        "Via",
        "Z",
    )
    site.visitor().client.get(site.public + STYLES, headers=dict.fromkeys((*sent, *not_sent), "x"))
    seen = site.keycloak.requests[-1][2]
    assert {name.lower() for name in sent} <= seen.keys()
    assert not {name.lower() for name in not_sent} & seen.keys()


def test_a_document_with_an_odd_name_goes_through_the_gateway(site: Site) -> None:
    before = site.metric("sparekey_requests_total")
    assert site.visitor().get(f"{site.public}/resources/a%20b.css").status_code == 200
    assert site.metric("sparekey_requests_total") == before + 1


KINDS = ("text/css", "text/css, text/html", "text/html", "application/octet-stream", "x", "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_document_that_does_nothing_passes_whatever_it_is(site: Site, kind: str, method: str) -> None:
    fields = [("Content-Type", kind)] if kind else []
    site.keycloak.planted[STYLES] = (200, [*fields, ("Set-Cookie", "theirs=1")], b"<p>fine</p>")
    answer = site.visitor().client.request(method, site.public + STYLES)
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "11"
    assert "theirs=1" in answer.headers["set-cookie"]


def test_a_document_that_is_refused_is_counted_at_once(site: Site) -> None:
    count = 'sparekey_data_plane_answers_total{outcome="refused"}'
    before = site.metric(count)
    for number in range(3):
        site.keycloak.planted[STYLES] = (302, [("Location", f"{CALLBACK}?code=x")], b"")
        answer = site.visitor().get(site.public + STYLES)
        assert answer.status_code == 502
        assert re.search("<code>[0-9a-f]{8}</code>", answer.text)
        assert site.metric(count) == before + number + 1


StartAlone = Callable[[dict[str, str]], contextlib.AbstractContextManager[Alone]]


@pytest.fixture
def alone(short_folder: Path) -> StartAlone:
    """Start one whose printed configuration is changed in the places given."""

    @contextlib.contextmanager
    def start(changes: dict[str, str]) -> Iterator[Alone]:
        port = free_port()
        public = f"http://127.0.0.1:{port}"
        with fake_keycloak(public) as keycloak:
            text = printed(short_folder, keycloak, port)
            for old, new in changes.items():
                assert old in text
                text = text.replace(old, new)
            with envoy_edge.serving(text, short_folder, port), httpx.Client(trust_env=False) as client:
                yield Alone(public, keycloak, client)

    return start


def printed(folder: Path, keycloak: FakeKeycloak, port: int) -> str:
    settings = settings_alone(folder, keycloak)
    command = ["data-plane", "envoy", "--settings", str(settings), "--listen", f"127.0.0.1:{port}"]
    options = ["--log", str(folder), "--trusted-proxy", "127.0.0.0/8"]
    answer = CliRunner().invoke(main, [*command, *options])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_an_envoy_that_never_heard_of_a_gateway_denies(alone: StartAlone) -> None:
    with alone({}) as edge:
        own = edge.client.get(f"{edge.public}/sparekey/reset")
        assert own.status_code == 503
        assert re.search("<code>[0-9a-f]{8}</code>", own.text)
        page = edge.client.get(edge.address())
        assert page.status_code == 200
        answer = edge.client.post(forms(page)[0].action, data={"username": "x", "password": "x"})
        assert answer.status_code == 503
        assert re.search("<code>[0-9a-f]{8}</code>", answer.text)
        assert not has_code(answer)
        assert "set-cookie" not in answer.headers
        account = f"{edge.public}{REALM}/account"
        brought = {"Cookie": "sparekey-session=mine; a=1", "X-Forwarded-For": "192.0.2.7"}
        assert edge.client.get(account, headers=brought).status_code == 200
        seen = edge.keycloak.requests[-1][2]
        assert (seen["cookie"], seen["x-forwarded-for"]) == ("a=1", "192.0.2.7")
        assert "x-sparekey-reference" not in seen


def test_where_the_script_fails_nothing_passes(alone: StartAlone) -> None:
    broken = {
        f"local function check({arguments})\n": f'local function check({arguments}) error("broken")\n'
        for arguments in ("handle", "handle, asked, undecided, is_remembered")
    }
    with alone(broken) as edge:
        edge.keycloak.planted[STYLES] = (200, [HTML], b"kc-form-login")
        for address in (edge.public + STYLES, edge.address(), edge.address(prompt="login")):
            answer = edge.client.get(address)
            assert answer.status_code == 502
            assert "kc-form-login" not in answer.text
            assert "set-cookie" not in answer.headers


def test_where_no_lane_can_be_chosen_a_request_goes_nowhere(alone: StartAlone) -> None:
    broken = {"function M.route(handle)\n": 'function M.route(handle) error("broken")\n'}
    brought = {"X-Sparekey-Lane": "direct", "Cookie": "a=b"}
    with alone(broken) as edge:
        addresses = (edge.address(), edge.address(prompt="login"), f"{edge.public}/sparekey/reset")
        for address in addresses:
            assert edge.client.get(address, headers=brought).status_code == 500
        assert not edge.keycloak.requests
        # This one needs no lane; but of what nothing is known, no answer passes.
        answer = edge.client.get(edge.address())
        assert answer.status_code == 502
        assert "kc-form-login" not in answer.text
        assert "set-cookie" not in answer.headers
