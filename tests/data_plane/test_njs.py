"""What only an nginx with njs does: which answers its script sees, and what becomes of one that fails."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.data_plane.claim import cookie_suffix
from gateway.settings import load
from tests.data_plane.alone import Alone, settings_alone
from tests.data_plane.fake_keycloak import AUTHORIZATION, REALM, STYLES, FakeKeycloak, fake_keycloak
from tests.data_plane.site import CALLBACK, Site, eventually, has_code
from tests.data_plane.test_native import covered
from tests.data_plane.test_planes import FORM, HTML, SPOOFED
from tests.servers import nginx_njs
from tests.servers.processes import free_port
from tests.servers.visitor import forms

pytestmark = pytest.mark.xdist_group("data_plane")

CODE = f"{CALLBACK}?code=xyzzy&state=x&session_state=s"
FAILS = "throw new Error('broken');"


@pytest.fixture
def site(njs_site: Site) -> Site:
    njs_site.keycloak.planted.clear()
    return njs_site


def test_of_two_locations_the_first_decides_and_is_all_that_passes(site: Site) -> None:
    visitor = covered(site, "twofold")
    session = httpx.URL(visitor.get(site.address()).headers["location"]).params["session_state"]
    good = f"{CALLBACK}?code=abc&session_state={session}&state=x"
    for first, second, passes in ((good, CODE, True), (CODE, good, False)):
        site.keycloak.planted[AUTHORIZATION] = (302, [("Location", first), ("Location", second)], b"")
        answer = visitor.get(site.address())
        assert has_code(answer) is passes
        assert "xyzzy" not in str(answer.headers)


@pytest.mark.parametrize("broken", [b"\xe2", b"\xc3\x28", b"\xed\xa0\x80", b"\xff\xfe"])
def test_bytes_that_are_no_text_hide_nothing_and_are_not_mended(site: Site, broken: bytes) -> None:
    page = b'<html><form id="kc-form-login"><input type="password" value="' + broken + b'"></form></html>'
    site.keycloak.planted[AUTHORIZATION] = (200, [HTML], page)
    assert site.visitor().get(site.address()).content == page
    for place in (b"name", b'="code', b"code"):
        site.keycloak.planted["hidden"] = (200, [HTML], broken + FORM.replace(place, broken + b" " + place))
        site.keycloak.planted[STYLES] = (200, [HTML], broken + FORM)
        assert b"xyzzy" not in site.visitor().get(site.public + STYLES).content


def test_a_page_in_pieces_is_read_whole_and_gets_the_link(site: Site) -> None:
    page = '<html lang="fr"><form id="kc-form-login"><p>é€😀</p></form></html>'.encode()
    chunks = b"".join(b"1\r\n%b\r\n" % page[at : at + 1] for at in range(len(page))) + b"0\r\n\r\n"
    site.keycloak.planted[AUTHORIZATION] = (200, [HTML, ("Transfer-Encoding", "chunked")], chunks)
    content = site.visitor().get(site.address()).content
    at = content.index(b'<p id="sparekey-link"')
    assert content[:at] + b"</html>" == page
    assert content.endswith(b"</a></p></html>")


def test_an_answer_to_head_has_no_body_whatever_it_is_replaced_with(site: Site) -> None:
    site.keycloak.planted[STYLES] = (200, [("Location", CODE), ("Content-Type", "text/css")], b"x")
    host, port = httpx.URL(site.public).host, httpx.URL(site.public).port
    with (
        socket.create_connection((host, port), timeout=20) as plain,
        site.trust.wrap_socket(plain, server_hostname=host) as stream,
    ):
        stream.sendall(f"HEAD {STYLES} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: stream.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert answer.endswith(b"\r\n\r\n")


def test_nobody_outside_reaches_what_the_script_uses(site: Site) -> None:
    for ask in (site.visitor().client.get, site.visitor().client.post):
        assert ask(f"{site.public}/sparekey/-remember").status_code == 404


StartAlone = Callable[..., contextlib.AbstractContextManager[Alone]]


@pytest.fixture
def alone(short_folder: Path) -> StartAlone:
    """Start one in whose modules some functions, by `module.function`, begin with another statement."""

    @contextlib.contextmanager
    def start(changes: Mapping[str, str] = MappingProxyType({})) -> Iterator[Alone]:
        port = free_port()
        public = f"http://127.0.0.1:{port}"
        with fake_keycloak(public) as keycloak:
            printed = print_for(short_folder, keycloak, port)
            assert printed.exit_code == 0, printed.output
            for function, statement in changes.items():
                begin_with(statement, short_folder / "scripts", *function.split("."))
            with (
                nginx_njs.serving(printed.output, short_folder, port),
                httpx.Client(trust_env=False) as client,
            ):
                yield Alone(public, keycloak, client)

    return start


def print_for(folder: Path, keycloak: FakeKeycloak, port: int, *options: str) -> Result:
    file = settings_alone(folder, keycloak)
    command = ["data-plane", "nginx", "--settings", str(file), "--listen", f"127.0.0.1:{port}"]
    places = ["--directory", str(folder), "--njs", str(folder / "scripts"), "--workers", "1"]
    user = ["--user", "root"] if os.geteuid() == 0 else []
    return CliRunner().invoke(main, [*command, *places, *user, *options])


def begin_with(statement: str, scripts: Path, module: str, function: str) -> None:
    file = scripts / f"{module}.js"
    source = file.read_text()
    body = source.index("{\n", source.index(f"function {function}(")) + 2
    file.write_text(f"{source[:body]}{statement}\n{source[body:]}")


def test_an_nginx_that_never_heard_of_a_gateway_denies(alone: StartAlone) -> None:
    with alone() as edge:
        eventually(edge.is_given_up)
        own = edge.client.get(f"{edge.public}/sparekey/reset")
        assert own.status_code == 503
        page = edge.client.get(edge.address())
        assert page.status_code == 200
        answer = edge.client.post(forms(page)[0].action, data={"username": "x", "password": "x"})
        assert answer.status_code == 503
        assert not has_code(answer)
        assert "set-cookie" not in answer.headers


def test_while_the_gateway_is_gone_a_client_states_nothing_about_itself_either(alone: StartAlone) -> None:
    with alone() as edge:
        eventually(edge.is_given_up)
        assert edge.client.get(f"{edge.public}{REALM}/account", headers=SPOOFED).status_code == 200
        seen = edge.keycloak.requests[-1][2]
        assert seen["cookie"] == "theirs=1"
        assert seen["x-forwarded-for"] == "127.0.0.1"
        assert not {"range", "forwarded", "x-real-ip", "x-forwarded-prefix", "ssl-client-cert"} & seen.keys()
        assert not {name for name in seen if name.startswith(("remote", "x-original", "x-accel", "x-spare"))}


@pytest.mark.parametrize(
    "function",
    ["response.head", "response.body", "response.handsOver", "response.keepPiece", "response.checked"],
)
def test_where_the_check_of_an_answer_fails_nothing_passes(alone: StartAlone, function: str) -> None:
    with alone({function: FAILS}) as edge:
        edge.keycloak.planted[AUTHORIZATION] = (302, [("Location", CODE)], b"")
        edge.keycloak.planted[STYLES] = (200, [HTML], FORM)
        for address in (edge.address(), edge.public + STYLES):
            assert b"xyzzy" not in said(edge, address)


CLAIM = f"sparekey-decided-{cookie_suffix('a')}=1.{2**40}.AAAA"
HEARD = {"python.policyVersion": "return '1';"}


@pytest.mark.parametrize("function", ["claim.holds", "claim.isSigned", "claim.sideBySide"])
def test_where_the_check_of_a_claim_fails_nobody_is_let_in(alone: StartAlone, function: str) -> None:
    with alone({**HEARD, function: FAILS}) as edge:
        begins = ("Set-Cookie", "KEYCLOAK_IDENTITY=a.b.c")
        edge.keycloak.planted[AUTHORIZATION] = (302, [("Location", CODE), begins], b"")
        answer = said(edge, edge.address(), Cookie=CLAIM)
        assert b"xyzzy" not in answer
        assert b"KEYCLOAK_IDENTITY" not in answer
        # It was that check which failed: another answer with the claim passes.
        edge.keycloak.planted.clear()
        assert b"kc-form-login" in said(edge, edge.address(), Cookie=CLAIM)


def test_where_no_lane_can_be_chosen_nothing_reaches_the_provider(alone: StartAlone) -> None:
    failing = {"request.weighCookies": FAILS, "python.handOver": FAILS, "python.gone": FAILS}
    with alone(failing) as edge:
        for address, status in ((edge.address(), 500), (f"{edge.public}{REALM}/account", 503)):
            assert edge.client.get(address, headers={"Cookie": "a=1"}).status_code == status
        assert edge.keycloak.requests == []


def test_where_cookies_cannot_be_told_apart_none_goes_along(alone: StartAlone) -> None:
    with alone({"request.theirs": FAILS}) as edge:
        eventually(edge.is_given_up)
        edge.client.get(f"{edge.public}{REALM}/account", headers={"Cookie": "sparekey-session=mine"})
        assert "cookie" not in edge.keycloak.requests[-1][2]


def test_no_secret_is_printed_or_written(short_folder: Path) -> None:
    with fake_keycloak("http://127.0.0.1:1") as keycloak:
        printed = print_for(short_folder, keycloak, 1)
    (key,) = load(short_folder / "sparekey.toml").vault.keys
    written = [printed.output, *(file.read_text() for file in (short_folder / "scripts").iterdir())]
    assert len(written) == 7
    for text in written:
        assert key.get_secret_value() not in text
        assert "not asked here" not in text


def test_guarded_applications_need_lua(short_folder: Path) -> None:
    with fake_keycloak("http://127.0.0.1:1") as keycloak:
        guarded = ("--guard", "https://wiki.example.org", "http://127.0.0.1:1")
        printed = print_for(short_folder, keycloak, 1, *guarded)
    assert printed.exit_code == 2
    assert "needs Lua" in printed.output


def said(edge: Alone, address: str, **headers: str) -> bytes:
    """Return all that comes; nothing where the connection is ended."""
    try:
        answer = edge.client.get(address, headers=headers)
    except httpx.RemoteProtocolError:
        return b""
    return str(answer.headers).encode() + answer.content
