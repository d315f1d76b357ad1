"""One suite, every data plane: over HTTP only, as browsers and attackers come."""

import gzip
import socket
import ssl

import httpx
import pytest

from gateway.interception.link import insert_link
from tests.data_plane.fake_keycloak import AUTHORIZATION, ODD, REALM, STYLES
from tests.data_plane.site import CALLBACK, Site, has_code, is_held

pytestmark = pytest.mark.xdist_group("data_plane")

CODE = f"{CALLBACK}?code=xyzzy&state=x&session_state=s"
FORM = (
    b'<html><form action="https://app.example/cb" method="post">'
    b'<input type="hidden" name="code" value="xyzzy"></form></html>'
)
HTML = ("Content-Type", "text/html;charset=utf-8")


def test_an_uncovered_person_is_held_and_no_code_leaks(any_site: Site) -> None:
    answer = any_site.sign_in(any_site.visitor(), "held")
    assert is_held(any_site, answer)
    assert not has_code(answer)


def test_a_covered_person_reaches_the_application(any_site: Site) -> None:
    any_site.register("covered")
    visitor = any_site.visitor()
    assert any_site.sign_in(visitor, "covered").headers["location"].startswith(f"{CALLBACK}?")
    again = visitor.get(any_site.address(state="again"))
    assert httpx.URL(again.headers["location"]).params["state"] == "again"
    assert has_code(again)


def test_single_sign_on_is_held_too(any_site: Site) -> None:
    visitor = any_site.visitor()
    any_site.sign_in(visitor, "single")
    for wishes in ({}, {"prompt": "consent"}, {"response_mode": "fragment"}, {"client_id": "another"}):
        answer = visitor.get(any_site.address(**wishes))
        assert is_held(any_site, answer), wishes
        assert not has_code(answer)


def test_the_link_stands_on_the_sign_in_page(any_site: Site) -> None:
    page = any_site.visitor().get(any_site.address())
    assert page.text.count('id="sparekey-link"') == 1
    back = "/realms/corp/login-actions/authenticate?client_id=application"
    assert f"/sparekey/reset?return_to={back}" in page.text


PAGES = {
    "sign_in": b'<html lang="de"><form id="kc-form-login" action="/realms/corp/login-actions/authenticate'
    b'?session_code=x&amp;execution=y&amp;tab_id=z&amp;a=%27&#39;"><input type="password"></form></html>',
    "arabic": '<html lang="ar"><form id="kc-passwd-update-form"><p>كلمة</p></form></html>'.encode(),
    "error": b'<html lang=fr><body data-page-id="login-error"><p id="kc-error-message">no</p></body></html>',
    "error_open": b'<html><body data-page-id="login-error"><p id="kc-error-message">no</body></html>',
    "generic": b"<HTML LANG='ja'><form action='/a'><input type=search></form><form action='//evil/x' >"
    b"<INPUT type=password></form></html>",
    "two_forms": b'<form><input></form><form action="x y"><input\ntype="password"></form><form></form>',
    "odd_action": b'<form formaction="/x" action = "/login-actions/y?execution=1&session_code=2" '
    b'id="kc-form-login"><input></form>',
    "codes_twice": b'<form action="https://x/login-actions/a?session_code=1&b=?session_code=2&execution=3&c" '
    b'id="kc-form-login"><input></form>',
    "only_a_code": b'<form action="/login-actions/a?execution=3" id="kc-form-login"><input></FORM></form>',
    "other_tag": b'<formular id="kc-form-login"></form>',
    "in_comment": b'<html><!-- <form><input type="password"></form> --></html>',
    "in_script": b'<html><script>"<form><input type=password></form>"</script></html>',
    "after_script": b'<html><script>1</script><form><input type="password"></form></html>',
    "unclosed": b'<html><form id="kc-form-login"><input type="password"></html>',
    "no_form": b"<html lang=en>nothing</html>",
    "already": b'<form id="kc-form-login"></form><p id="sparekey-link"></p>',
    "empty": b"",
}


@pytest.mark.parametrize("name", PAGES)
def test_the_link_is_the_same_in_every_plane(any_site: Site, name: str) -> None:
    body, address = PAGES[name], any_site.address(state="s'&lt;")
    any_site.keycloak.planted[AUTHORIZATION] = (200, [HTML], body)
    target = httpx.URL(address).raw_path
    expected = insert_link(body, target=target, prefix="/sparekey") or body
    assert any_site.visitor().get(address).content == expected


DISGUISES = {
    "redirect": (302, [("Location", CODE)], b""),
    "location_on_200": (200, [("Location", CODE), ("Content-Type", "text/plain")], b"x"),
    "second_location": (302, [("Location", "/realms/corp/account"), ("Location", CODE)], b""),
    "first_location": (302, [("Location", CODE), ("Location", "/realms/corp/account")], b""),
    "twice": (302, [("Location", CODE), ("Location", CODE)], b""),
    "refreshes": (200, [("Refresh", f"0; url={CODE}"), ("Refresh", f"0; url={CODE}"), HTML], b""),
    "tab": (302, [("Location", f"\t{CODE}")], b""),
    "escaped_fragment": (302, [("Location", f"{CALLBACK}#%63ode=xyzzy")], b""),
    "own_origin": (302, [("Location", "/elsewhere?code=xyzzy")], b""),
    "refresh": (200, [("Refresh", f"0; url={CODE}"), HTML], b"<html></html>"),
    "form": (200, [HTML], FORM),
    "form_without_type": (200, [], FORM),
    "compressed_form": (
        200,
        [("Content-Type", "Text/HTML"), ("Content-Encoding", "gzip")],
        gzip.compress(FORM),
    ),
    "xhtml_form": (200, [("Content-Type", "application/xhtml+xml")], FORM),
    "form_after_a_file": (200, [("Content-Type", "text/css, text/html")], FORM),
    "form_of_two_types": (200, [("Content-Type", "text/css"), HTML], FORM),
    "form_of_unknown_type": (200, [("Content-Type", "application/unknown")], FORM),
    "form_of_any_type": (200, [("Content-Type", "*/*")], FORM),
    "meta_refresh": (200, [HTML], f'<meta http-equiv=refresh content="0;url={CODE}">'.encode()),
    "cut_form": (200, [HTML, ("Content-Length", "5000")], FORM),
    "large_form": (200, [HTML], FORM + b" " * (1 << 20)),
    "wide_form": (200, [HTML], FORM.replace(b"name", b"name" + b" \t" * 400_000)),
}
PLACES = (AUTHORIZATION, STYLES, f"{ODD}answer")
DISGUISED = [
    (path, name)
    for path in PLACES
    for name in DISGUISES
    # Elsewhere it is a step of the provider's own, where no session begins.
    if name != "own_origin" or path == AUTHORIZATION
]


@pytest.mark.parametrize(("path", "name"), DISGUISED)
def test_no_answer_in_disguise_passes(any_site: Site, path: str, name: str) -> None:
    any_site.keycloak.planted[path.removeprefix(ODD)] = DISGUISES[name]
    address = any_site.address() if path == AUTHORIZATION else f"{any_site.public}{path}"
    visitor = any_site.visitor()
    try:
        answer = visitor.get(address)
        if "-ask=1" in str(answer.headers):
            answer = visitor.get(answer.headers["location"])
    except httpx.RemoteProtocolError:
        return
    # Of two types a newer nginx passes the first alone, and a style sheet is no page.
    assert b"xyzzy" not in answer.content or answer.headers["Content-Type"] == "text/css"
    assert "ode=xyzzy" not in str(answer.headers)


def test_a_session_that_begins_in_no_known_answer_is_refused(any_site: Site) -> None:
    begins = ("Set-Cookie", "KEYCLOAK_IDENTITY=a.b.c;Path=/realms/corp/")
    any_site.keycloak.planted["begun"] = (302, [("Location", "https://app.example/"), begins], b"")
    any_site.keycloak.planted[STYLES] = (200, [("Content-Type", "text/css"), begins], b"")
    for path in (f"{ODD}begun", STYLES):
        answer = any_site.visitor().get(any_site.public + path)
        assert answer.status_code in {403, 502}
        assert "KEYCLOAK_IDENTITY" not in str(answer.headers)


@pytest.mark.parametrize(
    "target",
    [
        *(
            "/realms//corp",
            "/a/../b",
            "/a/..",
            "/a;b",
            "/a%2fb",
            "/a%2e%2e/b",
            "/a%5cb",
            "/a\\b",
            "/%72ealms",
        ),
        *("/a%", "/a%zz", "/a%00", "/resources/..%2frealms/corp/x", "/resources/x%0d%0ay", "/a#b", "/\u00e9"),
    ],
)
def test_an_address_that_reads_in_two_ways_is_refused(any_site: Site, target: str) -> None:
    before = len(any_site.keycloak.requests)
    assert raw_status(any_site, target) == 400
    assert len(any_site.keycloak.requests) == before


@pytest.mark.parametrize("target", ["/a?b=//../;c%2f", "/a%20b", "/a.b/c", "/?x=%"])
def test_an_address_that_reads_in_one_way_passes_as_it_came(any_site: Site, target: str) -> None:
    assert raw_status(any_site, target) == 200
    assert any_site.keycloak.requests[-1][1] == target


def raw_status(any_site: Site, target: str) -> int:
    """Ask for exactly this; clients tidy addresses up."""
    host, port = httpx.URL(any_site.public).host, httpx.URL(any_site.public).port
    with socket.create_connection((host, port), timeout=20) as plain:
        stream = plain
        if any_site.plane != "embedded":
            assert isinstance(any_site.trust, ssl.SSLContext)
            stream = any_site.trust.wrap_socket(plain, server_hostname=host)
        with stream:
            head = f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            stream.sendall(head.encode())
            return int(stream.recv(64).split()[1])


SPOOFED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=6.6.6.6",
    "X-Real-IP": "6.6.6.6",
    "Remote-User": "alice",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
    "X-Accel-Redirect": "/admin",
    "SSL-Client-Cert": "x",
    "X-SPAREKEY-Anything": "x",
    "Remote_User": "alice",
    "Range": "bytes=0-9",
    "Cookie": "sparekey-session=mine; theirs=1; __Host-sparekey-hold-x=mine",
}


@pytest.mark.parametrize("path", ["authorization", STYLES, f"{REALM}/account"])
def test_a_client_states_nothing_about_itself(any_site: Site, path: str) -> None:
    address = any_site.address() if path == "authorization" else any_site.public + path
    any_site.visitor().client.get(address, headers=SPOOFED)
    seen = any_site.keycloak.requests[-1][2]
    assert not {name for name in seen if "_" in name or name.startswith(("remote-", "x-original", "x-accel"))}
    assert not {"forwarded", "x-real-ip", "range", "ssl-client-cert", "x-rewrite-url"} & seen.keys()
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert f"https://{seen['x-forwarded-host']}".endswith(httpx.URL(any_site.public).netloc.decode())
    assert "x-forwarded-prefix" not in seen
    assert "sparekey" not in str(seen.get("cookie"))
    assert seen["host"] == httpx.URL(any_site.public).netloc.decode()


def test_the_provider_sets_no_cookie_of_ours_and_steers_nothing(any_site: Site) -> None:
    page = any_site.visitor().get(any_site.address())
    assert "theirs" not in str(page.headers)
    assert "service-worker-allowed" not in page.headers
    assert "kc-form-login" in page.text


def test_another_host_is_told_so(any_site: Site) -> None:
    answer = any_site.visitor().client.get(f"{any_site.public}{REALM}/", headers={"Host": "evil.example"})
    assert answer.status_code == 421


def test_a_post_reaches_the_provider_as_it_was(any_site: Site) -> None:
    answer = any_site.visitor().client.post(f"{any_site.public}{REALM}/account", content=b"x" * 200_000)
    assert answer.status_code == 200
    assert any_site.keycloak.requests[-1][2]["content-length"] == "200000"
