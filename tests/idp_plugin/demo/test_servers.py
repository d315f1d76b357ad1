"""Starting and stopping the demo, and who lives in it."""

import socket
import threading
from pathlib import Path

import pytest

from idp_plugin.base import Identity, PasswordState
from idp_plugin.demo.directory import DemoDirectory
from idp_plugin.demo.directory_server import DirectoryServer
from idp_plugin.demo.people import PEOPLE, new_passwords
from idp_plugin.demo.pki import make_certificates
from idp_plugin.demo.servers import DemoAddresses, RunningDemo, start, start_at
from idp_plugin.ldap.openldap import OpenLdap
from tests.idp_plugin.demo.browser import Browser
from tests.servers import processes


def find(demo: RunningDemo, username: str) -> Identity:
    identity = OpenLdap(demo.directory, demo.addresses.public).find(username)
    assert identity
    return identity


def test_it_starts_and_stops(tmp_path: Path) -> None:
    base = processes.free_port()
    running = start(base, tmp_path)
    application = running.addresses.application
    running.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", base + 1), 1)
    assert application == f"http://127.0.0.1:{base + 1}"


def test_a_taken_port_leaves_nothing_running(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        addresses = DemoAddresses("http://127.0.0.1:1", f"http://127.0.0.1:{port}")
        before = set(threading.enumerate())
        with pytest.raises(OSError, match="in use"):
            start_at(addresses, tmp_path, port)
    begun = set(threading.enumerate()) - before
    for thread in begun:
        thread.join(timeout=30)
    assert not any(thread.is_alive() for thread in begun)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])
def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        start(8080, tmp_path, host=host)
    with pytest.raises(ValueError, match="loopback"):
        DirectoryServer(DemoDirectory(), make_certificates(tmp_path), (host, 0))


def test_everybody_lives_there(demo: RunningDemo) -> None:
    found = {person.username for person in OpenLdap(demo.directory, "x").everyone()}
    assert found == {person.username for person in PEOPLE} == set(demo.passwords)


def test_each_shows_what_it_is_there_to_show(demo: RunningDemo) -> None:
    assert find(demo, "carol").locked
    assert find(demo, "dave").password_state is PasswordState.EXPIRED
    assert find(demo, "erin").privileged
    assert "helpdesk" in find(demo, "frank").groups
    assert find(demo, "heidi").groups == frozenset()
    alice = find(demo, "alice")
    assert not alice.locked
    assert alice.password_state is PasswordState.USABLE


def test_passwords_differ_at_every_start() -> None:
    assert new_passwords() != new_passwords()


def test_no_secret_shows_in_what_is_printed_of_it(demo: RunningDemo) -> None:
    shown = repr(demo)
    assert demo.client_secret not in shown
    assert demo.passwords["alice"] not in shown
    assert demo.directory.bind_password.get_secret_value() not in shown


def test_a_password_that_was_reset_is_the_one_that_signs_in(tmp_path: Path) -> None:
    public, application = processes.free_port(), processes.free_port()
    addresses = DemoAddresses(
        f"http://127.0.0.1:{public}", f"http://127.0.0.1:{application}", provider_port=public
    )
    with start_at(addresses, tmp_path, application) as demo, Browser(demo) as browser:
        directory = OpenLdap(demo.directory, addresses.public)
        directory.set_password(find(demo, "carol").account, "Quite-New-Passw0rd")
        refused = browser.sign_in(browser.open_application(), "carol")
        assert "not right" in refused.text
        page = browser.follow(browser.sign_in(refused, "carol", "Quite-New-Passw0rd"))
        assert "Signed in as Carol Castle" in page.text
