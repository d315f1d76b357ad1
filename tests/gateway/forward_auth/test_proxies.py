"""One black-box suite over every proxy: the real program, with the very file of `deploy/forward-auth`."""

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.all_sessions import AllSessions
from gateway.forward_auth.hand_over import Note
from gateway.portal_session import PortalSessions
from tests.gateway.forward_auth.around import WIKI, Around, Browser, opened
from tests.servers import forward_auth_proxies as proxies
from tests.servers.processes import free_port
from tests.servers.versions import ReportVersion
from tests.servers.visitor import forms

pytestmark = pytest.mark.xdist_group("forward_auth")
GOING_TO = f"{WIKI}/pages/Home%20page?action=view&next=%2Fa%2Fb&empty="
IDENTITY = ("REMOTE_USER", "REMOTE_NAME", "REMOTE_EMAIL", "REMOTE_GROUPS")


@pytest.fixture(scope="module")
def around() -> Iterator[Around]:
    with opened() as started:
        yield started


@dataclass(frozen=True, slots=True)
class Proxy:
    name: str
    port: int
    around: Around

    def browser(self) -> Browser:
        return self.around.browser(wiki=self.port)

    def signed_in(self, username: str = "bob") -> Browser:
        browser = self.browser()
        assert browser.arrive(GOING_TO, username).status_code == 200
        return browser

    def note(self, answer: httpx.Response) -> Note:
        """Return what a redirect to the gateway says of where the person was going."""
        location = answer.headers["location"]
        assert location.startswith(f"{self.around.world.public}/sparekey/forward-auth/sign-in?for="), location
        services = self.around.world.sparekey.services
        note = services.hand_overs.read(parse_qs(urlsplit(location).query)["for"][0], now=services.clock())
        assert note
        return note

    def raw(self, request: bytes) -> bytes:
        """Send bytes as they are, and return the answer up to its end."""
        context = ssl.create_default_context(cafile=self.around.authority.file)
        context.set_alpn_protocols(["http/1.1"])
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection,
            context.wrap_socket(connection, server_hostname=proxies.HOST) as secured,
        ):
            secured.sendall(request)
            answer = b""
            while piece := secured.recv(65536):
                answer += piece
            return answer


@pytest.fixture(scope="module", params=proxies.PROXIES)
def running(request: pytest.FixtureRequest, around: Around, report_version: ReportVersion) -> Iterator[Proxy]:
    name = request.param
    folder = around.folder / name
    folder.mkdir()
    certificate = around.authority.issue(name, host=proxies.HOST)
    asked_at = around.listeners[proxies.STATES[name]].port
    place = proxies.Around(folder, asked_at, around.application.port, certificate, around.socket)
    with proxies.PROXIES[name](place) as port:
        report_version(name.removesuffix("-guard"), proxies.version(name))
        yield Proxy(name, port, around)


@pytest.fixture
def proxy(running: Proxy) -> Proxy:
    running.around.world.begin_anew()
    running.around.world.register("bob", "email")
    running.around.application.seen.clear()
    return running


def identity(proxy: Proxy) -> dict[str, list[str]]:
    """What the application last read, as one does that takes hyphen and underscore for the same."""
    _, fields = proxy.around.application.seen[-1]
    found: dict[str, list[str]] = {}
    for name, value in fields:
        if (key := name.upper().replace("-", "_")) in IDENTITY:
            found.setdefault(key, []).append(value)
    return found


def test_a_person_arrives_where_they_were_going_and_the_application_knows_who_it_is(proxy: Proxy) -> None:
    browser = proxy.browser()
    arrived = browser.arrive(GOING_TO, "bob")
    assert arrived.status_code == 200
    assert WIKI + arrived.json()["path"] == GOING_TO
    assert [asked for asked, _ in proxy.around.application.seen] == [f"GET {GOING_TO.removeprefix(WIKI)}"]
    assert identity(proxy) == {
        "REMOTE_USER": ["bob"],
        "REMOTE_NAME": ["Bob Baker"],
        "REMOTE_EMAIL": ["bob@example.org"],
        "REMOTE_GROUPS": ["staff"],
    }
    assert browser.cookie("wiki.example.org").startswith("s.")


def test_the_cookie_is_this_hosts_alone_and_out_of_reach_of_scripts(proxy: Proxy) -> None:
    (line,) = proxy.browser().visitor.get(WIKI).headers.get_list("set-cookie")
    name, *attributes = line.split("; ")
    assert name.startswith("__Host-sparekey-application=n.")
    assert set(attributes) == {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"}


def test_a_page_leads_to_the_sign_in_and_a_script_is_told_no(proxy: Proxy) -> None:
    browser = proxy.browser()
    page = browser.visitor.get(GOING_TO)
    assert page.status_code == 302
    assert "no-store" in page.headers["cache-control"]
    note = proxy.note(page)
    assert (note.host, WIKI + note.target) == ("wiki.example.org", GOING_TO)
    for method in ("GET", "POST", "PUT"):
        told = browser.fetch(GOING_TO, method)
        assert (told.status_code, told.headers.get("location")) == (401, None)
    assert proxy.around.application.seen == []


@pytest.mark.parametrize("is_chunked", [False, True])
def test_what_a_person_sends_arrives_whole(proxy: Proxy, *, is_chunked: bool) -> None:
    browser = proxy.signed_in()
    # More than any of them keeps in memory, so that asking us must not have read it.
    pieces = [b"a line of sixteen\n" * 1024] * 16
    cookie = f"__Host-sparekey-application={browser.cookie('wiki.example.org')}"
    told = browser.client.post(
        f"{WIKI}/form", content=iter(pieces) if is_chunked else b"".join(pieces), headers={"Cookie": cookie}
    )
    assert told.status_code == 200
    assert told.json()["body"].encode() == b"".join(pieces)


def test_who_must_register_first_does_so_and_arrives_afterwards(proxy: Proxy) -> None:
    page = proxy.browser().arrive(GOING_TO, "alice")
    assert page.status_code == 200
    assert page.url.path.startswith("/sparekey/register")
    assert proxy.around.application.seen == []


@pytest.mark.parametrize("is_signed_in", [False, True])
def test_what_a_browser_says_of_itself_never_arrives(proxy: Proxy, *, is_signed_in: bool) -> None:
    browser = proxy.signed_in() if is_signed_in else proxy.browser()
    proxy.around.application.seen.clear()
    lies = {
        spelling: "mallory"
        for name in ("Remote-User", "Remote-Name", "Remote-Email", "Remote-Groups")
        for spelling in (name, name.upper(), name.replace("-", "_"), name.lower().replace("-", "_"))
    }
    told = browser.fetch(f"{WIKI}/", **lies)
    if is_signed_in:
        assert told.status_code == 200
        assert identity(proxy)["REMOTE_USER"] == ["bob"]
        assert "mallory" not in str(identity(proxy))
    else:
        assert told.status_code == 401
        assert proxy.around.application.seen == []


def test_what_a_browser_says_it_asked_for_counts_for_nothing(proxy: Proxy) -> None:
    arrival = "/sparekey/forward-auth/arrive?ticket=x"
    lies = {
        "X-Original-URL": f"https://notes.example.org{arrival}",
        "X-Original-Method": "GET",
        "X-Forwarded-Host": "notes.example.org",
        "X-Forwarded-Uri": arrival,
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=notes.example.org",
        "X-Rewrite-URL": arrival,
        "X-Envoy-Original-Path": arrival,
    }
    browser = proxy.browser()
    browser.client.headers.update(lies)
    note = proxy.note(browser.visitor.get(GOING_TO))
    assert (note.host, WIKI + note.target) == ("wiki.example.org", GOING_TO)
    # A method that is stated makes no page of a script's request.
    assert browser.fetch(GOING_TO, "POST", **lies).status_code == 401


@pytest.mark.parametrize(
    "target",
    [b"//evil.example/a", b"/\\evil.example", b"https://evil.example/a", b"/a%0d%0aSet-Cookie:%20x=1"],
)
def test_no_address_leads_anywhere_else(proxy: Proxy, target: bytes) -> None:
    request = b"GET %b HTTP/1.1\r\nHost: wiki.example.org\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    head = proxy.raw(request % target).partition(b"\r\n\r\n")[0].decode("latin-1")
    lines = dict(line.lower().partition(": ")[::2] for line in head.split("\r\n")[1:])
    assert "x=1" not in lines.get("set-cookie", "")
    if " 302 " in head.partition("\r\n")[0]:
        answer = httpx.Response(302, headers={"location": head.split("ocation: ")[1].split("\r\n")[0]})
        note = proxy.note(answer)
        assert note.host == "wiki.example.org"
        assert note.target.startswith("/")
        assert "\r" not in note.target
    # Some answer for a host that they do not serve: with an error, or with nothing.
    else:
        assert "location" not in lines
    assert proxy.around.application.seen == []


def test_a_request_for_another_host_reaches_nobody(proxy: Proxy) -> None:
    browser = proxy.signed_in()
    proxy.around.application.seen.clear()
    cookie = f"__Host-sparekey-application={browser.cookie('wiki.example.org')}"
    request = "GET / HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nConnection: close\r\n\r\n"
    for host in ("notes.example.org", "wiki.example.org.evil.example", "wiki.example.org@evil.example"):
        proxy.raw(request.format(host, cookie).encode())
    hosts = {dict(fields)["Host"] for _, fields in proxy.around.application.seen}
    # nginx's file serves one application and calls it by its name, whatever the request says.
    assert hosts == ({"wiki.example.org"} if proxy.name.startswith("nginx") else set())


def test_a_session_that_was_ended_opens_nothing_any_more(proxy: Proxy) -> None:
    browser, world = proxy.signed_in(), proxy.around.world
    assert browser.fetch(f"{WIKI}/").status_code == 200
    services = world.sparekey.services
    ending = AllSessions(PortalSessions(services.expiring), world.sparekey.provider.sessions, world.clock)
    ending.end_all(world.identity("bob").subject)
    # What the settings promise is the bound: nobody is believed for longer than that.
    time.sleep(services.settings.forward_auth.revoked_within_ms / 1000)
    assert browser.fetch(f"{WIKI}/").status_code == 401
    assert forms(browser.open(GOING_TO))[0].fields.keys() >= {"username", "password"}


def test_the_way_out_leads_to_the_gateways_question(proxy: Proxy) -> None:
    browser = proxy.signed_in()
    page = browser.open(f"{WIKI}/sparekey/forward-auth/sign-out")
    assert page.url.path == "/sparekey/oidc/logout"
    # Looking at the question signed nobody out.
    assert browser.fetch(f"{WIKI}/").status_code == 200


def test_nobody_passes_while_we_do_not_answer(proxy: Proxy) -> None:
    folder = proxy.around.folder / f"{proxy.name}-alone"
    folder.mkdir(exist_ok=True)
    certificate = proxy.around.authority.issue(proxy.name, host=proxies.HOST)
    place = proxies.Around(folder, free_port(), proxy.around.application.port, certificate)
    signed_in = proxy.signed_in()
    proxy.around.application.seen.clear()
    with proxies.PROXIES[proxy.name](place) as port:
        cookie = f"__Host-sparekey-application={signed_in.cookie('wiki.example.org')}"
        answer = proxy.around.browser(wiki=port).fetch(f"{WIKI}/", Cookie=cookie)
    assert answer.status_code >= 500
    assert proxy.around.application.seen == []
