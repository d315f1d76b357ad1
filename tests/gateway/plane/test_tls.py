"""TLS on both sides: our own certificate, and the identity provider's, which is always verified."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.plane import rim, upstream
from gateway.plane.rim import Plane
from gateway.settings import TlsSettings
from tests.gateway.plane.recorder import OK, Recorder
from tests.gateway.plane.stage import Client, a_client, a_plane, get, on_a_loop
from tests.servers.certificates import Authority, Issued


@pytest.fixture(scope="module")
def issued(authority: Authority) -> Issued:
    return authority.issue("server")


@asynccontextmanager
async def a_tls_upstream(issued: Issued) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(OK)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def a_tls_client(plane: Plane, ca: Path) -> AsyncIterator[Client]:
    context = ssl.create_default_context(cafile=str(ca))
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.port, ssl=context)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


@on_a_loop
async def test_an_upstream_with_a_certificate_of_the_authority_is_reached(
    authority: Authority, issued: Issued
) -> None:
    async with (
        a_tls_upstream(issued) as port,
        a_plane(port, scheme="https", tls_ca=authority.file) as plane,
        a_client(plane) as client,
    ):
        assert (await client.asks(get(b"/1"))).body == b"ok\n"
        assert (await client.asks(get(b"/2"))).body == b"ok\n"


@on_a_loop
async def test_an_upstream_of_another_authority_is_not_believed(issued: Issued, tmp_path: Path) -> None:
    other = Authority.new(tmp_path)
    async with (
        a_tls_upstream(issued) as port,
        a_plane(port, scheme="https", tls_ca=other.file) as plane,
        a_client(plane) as client,
    ):
        assert (await client.asks(get(b"/1"))).status == 502


@on_a_loop
async def test_an_upstream_with_another_name_is_not_believed(authority: Authority) -> None:
    elsewhere = authority.issue("elsewhere", host="elsewhere.example", address="127.0.0.9")
    async with (
        a_tls_upstream(elsewhere) as port,
        a_plane(port, scheme="https", tls_ca=authority.file) as plane,
        a_client(plane) as client,
    ):
        assert (await client.asks(get(b"/1"))).status == 502


@on_a_loop
async def test_people_are_served_over_our_own_certificate(authority: Authority, issued: Issued) -> None:
    tls = {"certificate": issued.certificate, "key": issued.key}
    async with Recorder() as recorder, a_plane(recorder, tls=tls) as plane:
        async with a_tls_client(plane, authority.file) as client:
            assert (await client.asks(get(b"/1"))).body == b"ok\n"
            assert (await client.asks(get(b"/sparekey/"))).status == 200
            assert (await client.asks(get(b"/a//b"))).status == 400
        async with a_tls_client(plane, authority.file) as client:
            old = await client.asks(get(b"/1", version=b"1.0"))
            assert old.body == b"ok\n"


def test_old_versions_of_tls_are_refused_on_both_sides(authority: Authority, issued: Issued) -> None:
    ours = rim._tls_context(TlsSettings(certificate=issued.certificate, key=issued.key))
    theirs = upstream._tls_context(authority.file)
    assert ours.minimum_version == theirs.minimum_version == ssl.TLSVersion.TLSv1_2
    assert theirs.check_hostname
    assert theirs.verify_mode == ssl.CERT_REQUIRED
