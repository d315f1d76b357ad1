"""Who the client is: stated by listed proxies only, and rebuilt for the identity provider."""

import pytest

from gateway.plane.client_address import TrustedProxies
from gateway.plane.origin import Origin
from tests.gateway.plane.recorder import Recorder
from tests.gateway.plane.stage import a_client, a_plane, get, on_a_loop, wire

FORGED = (
    b"X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: evil\r\n"
    b"Forwarded: for=6.6.6.6\r\n"
)


@pytest.mark.parametrize("trusted", [(), ("10.0.0.0/8",)])
@on_a_loop
async def test_forwarding_fields_of_anybody_else_are_not_believed(trusted: tuple[str, ...]) -> None:
    async with Recorder() as upstream, a_plane(upstream, trusted_proxies=trusted) as plane:
        async with a_client(plane) as client:
            await client.asks(get(b"/t", FORGED))
        assert upstream.wire == [wire(b"GET /t")]


@on_a_loop
async def test_a_listed_proxy_states_the_client_and_the_host_but_never_our_origin() -> None:
    fields = (
        b"X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: h.example\r\n"
    )
    async with Recorder() as upstream, a_plane(upstream, trusted_proxies=("127.0.0.1",)) as plane:
        async with a_client(plane) as client:
            inner = b"GET /t HTTP/1.1\r\nHost: internal:8080\r\n" + fields + b"\r\n"
            assert (await client.asks(inner)).status == 200
        assert upstream.wire == [wire(b"GET /t").replace(b"127.0.0.1", b"203.0.113.7")]


@on_a_loop
async def test_a_listed_proxy_that_passes_a_foreign_host_is_refused() -> None:
    async with Recorder() as upstream, a_plane(upstream, trusted_proxies=("127.0.0.1",)) as plane:
        async with a_client(plane) as client:
            response = await client.asks(get(b"/t", b"X-Forwarded-Host: evil.example\r\n"))
            assert response.status == 421
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ([b"203.0.113.7"], "203.0.113.7"),
        ([b"6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ([b"6.6.6.6", b"203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        ([b"203.0.113.7, 10.1.1.1, 10.0.0.2"], "203.0.113.7"),
        ([b"203.0.113.7:4711"], "203.0.113.7"),
        ([b"[2001:db8::1]:4711"], "2001:db8::1"),
        ([b"2001:db8::1"], "2001:db8::1"),
        ([b"::ffff:203.0.113.7"], "203.0.113.7"),
        ([b"10.0.0.9"], "10.0.0.9"),
        ([b"6.6.6.6, nonsense"], "10.0.0.1"),
        ([b"6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
        ([b""], "10.0.0.1"),
        ([b"203.0.113.7\xe9"], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_the_list_is_read_from_the_right_up_to_the_first_stranger(
    forwarded_for: list[bytes], client: str
) -> None:
    assert TrustedProxies(("10.0.0.0/8",)).client("10.0.0.1", forwarded_for, []) == client


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([b"for=203.0.113.7"], "203.0.113.7"),
        ([b'for=6.6.6.6, For="[2001:db8::1]:4711";proto=https'], "2001:db8::1"),
        ([b"proto=https;for=203.0.113.7;by=10.0.0.1"], "203.0.113.7"),
        ([b"for=_hidden"], "10.0.0.1"),
        ([b"proto=https"], "10.0.0.1"),
    ],
)
def test_the_standard_field_is_read_alike(forwarded: list[bytes], client: str) -> None:
    assert TrustedProxies(("10.0.0.0/8",)).client("10.0.0.1", [], forwarded) == client


def test_nobody_is_trusted_by_default() -> None:
    assert not TrustedProxies(()).trusts("127.0.0.1")
    assert TrustedProxies(("127.0.0.0/8",)).trusts("127.0.0.1")
    assert TrustedProxies(("127.0.0.0/8",)).trusts("::ffff:127.0.0.1")
    assert not TrustedProxies(("127.0.0.0/8",)).trusts("")


@pytest.mark.parametrize(
    ("public", "named", "foreign"),
    [
        (
            "https://h.example",
            [b"h.example", b"H.EXAMPLE:443"],
            [b"h.example:80", b"h.example.", b"xh.example", b""],
        ),
        ("http://127.0.0.1:8080", [b"127.0.0.1:8080"], [b"127.0.0.1", b"localhost:8080"]),
        ("https://[::1]:8443", [b"[::1]:8443"], [b"::1", b"[::1]"]),
    ],
)
def test_the_origin_knows_its_names(public: str, named: list[bytes], foreign: list[bytes]) -> None:
    origin = Origin(public)
    assert all(origin.is_named(host) for host in named)
    assert not any(origin.is_named(host) for host in foreign)
