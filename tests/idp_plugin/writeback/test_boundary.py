"""An agent as a boundary: what whoever speaks for its gateway cannot get round (S18 to S20)."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from idp_plugin.base import PasswordState, Subject
from idp_plugin.errors import IdpUnavailable
from idp_plugin.last_write import LastWrite
from idp_plugin.ldap.openldap import OpenLdap
from idp_plugin.writeback.order import OrderKind, new_id
from idp_plugin.writeback.process import opened
from idp_plugin.writeback.settings import WriteLimits, load
from tests.idp_plugin.writeback.arranged import (
    DIRECTORY,
    ISSUER,
    ArrangedAgent,
    Office,
    adapter,
    over_streams,
)
from tests.idp_plugin.writeback.test_agent import NEW, OLD, an_order, deliver, id_of, packed, said
from tests.idp_plugin.writeback.test_process import joined, seen, wait_until
from tests.servers.slapd import Slapd
from tests.servers.valkey import Valkey


@pytest.fixture
def office(tmp_path: Path, valkey: Valkey) -> Iterator[Office]:
    with over_streams(tmp_path, valkey.url) as office:
        yield office


class Watched(OpenLdap):
    """Counts the binds that compare a password, and fails where it is told to."""

    binds = 0
    before_reading_back: Callable[[], None] = staticmethod(lambda: None)

    after_reading_back: Callable[[], None] = staticmethod(lambda: None)

    def verify_password(self, account: Subject, password: str, *, server: str = "") -> PasswordState:
        self.binds += 1
        return super().verify_password(account, password, server=server)

    def last_write(self, account: Subject, *, server: str = "") -> LastWrite | None:
        self.before_reading_back()
        found = super().last_write(account, server=server)
        self.after_reading_back()
        return found


def watched(slapd: Slapd) -> Watched:
    return Watched(slapd.settings(), ISSUER)


def ask_what_became(office: Office, agent: ArrangedAgent, subject: str, guess: str) -> tuple[str, list[str]]:
    order = an_order(agent, subject, kind=OrderKind.SETTLE, settles=new_id())
    return said(agent, deliver(office, agent, packed(office, agent, order, guess)))


def test_what_one_server_knows_is_tried_at_no_other(office: Office, slapd: Slapd, tmp_path: Path) -> None:
    ids = {name: slapd.read(person.dn)["entryUUID"][0] for name, person in slapd.people.items()}
    # It has the same people, and has heard of no new password.
    lagging = [
        replace(person, attributes={**person.attributes, "entryUUID": ids[name]})
        for name, person in slapd.people.items()
    ]
    with Slapd(tmp_path / "second", lagging, certificates=slapd.certificates) as second:
        both = Watched(slapd.settings(servers=(slapd.address, second.address), seconds=2), ISSUER)
        both.after_reading_back = slapd.stop
        agent = office.add(both, start=False)
        account = Subject(DIRECTORY, ids["alice"])
        adapter(slapd).set_password(account, NEW)
        assert ask_what_became(office, agent, ids["alice"], NEW)[0] == "unknown"
        assert both.binds == 1
        assert "pwdFailureTime" not in second.read(second.people["alice"].dn)


def test_another_spelling_of_an_id_is_no_other_account_to_the_limits(office: Office, slapd: Slapd) -> None:
    agent = office.add(adapter(slapd), limits=WriteLimits(per_person_and_day=1), start=False)
    alice = id_of(slapd, "alice")
    assert alice.upper() != alice
    assert said(agent, deliver(office, agent, packed(office, agent, an_order(agent, alice)))) == ("done", [])
    again = packed(office, agent, an_order(agent, alice.upper()), f"{NEW}-2")
    assert said(agent, deliver(office, agent, again)) == ("not_begun", ["limit"])


def test_passwords_cannot_be_guessed_by_asking_what_became_of_orders(office: Office, slapd: Slapd) -> None:
    directory = watched(slapd)
    agent = office.add(directory, limits=WriteLimits(per_person_and_day=2), start=False)
    alice = id_of(slapd, "alice")
    for _ in range(4):
        assert ask_what_became(office, agent, alice, "a guess") == ("unknown", ["not_read_back"])
    assert directory.binds == 2
    assert slapd.accepts("alice", OLD)


def test_nobody_privileged_is_asked_for_a_password(office: Office, slapd: Slapd) -> None:
    directory = watched(slapd)
    agent = office.add(directory, start=False)
    assert ask_what_became(office, agent, id_of(slapd, "erin"), "a guess") == ("unknown", ["not_read_back"])
    assert directory.binds == 0


def test_a_directory_that_dies_before_the_reading_back_leaves_it_open(office: Office, slapd: Slapd) -> None:
    directory = watched(slapd)
    agent = office.add(directory, start=False)

    def die() -> None:
        raise IdpUnavailable("here")

    directory.before_reading_back = die
    assert ask_what_became(office, agent, id_of(slapd, "alice"), OLD) == ("unknown", ["not_read_back"])


def test_the_kill_switch_holds_for_the_test_account_too(office: Office, slapd: Slapd, valkey: Valkey) -> None:
    file = joined(office, slapd, valkey, more='canary = { name = "carol" }')
    (office.folder / "state" / "stop").touch()
    with opened(load(file)) as process:
        process.beat()
        assert slapd.accepts("carol", "Carol-Passw0rd")
        (office.folder / "state" / "stop").unlink()
        process.beat()
        assert not slapd.accepts("carol", "Carol-Passw0rd")


def test_a_worker_outlives_what_nobody_foresaw(
    office: Office, slapd: Slapd, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, faults = threading.Event(), []

    def fail(*_: object) -> None:
        faults.append(1)
        raise OSError("No space left on device")

    with opened(load(joined(office, slapd, valkey, more="threads = 1"))) as process:
        with monkeypatch.context() as patched:
            patched.setattr(process._parts.agent, "step", fail)
            thread = threading.Thread(target=process.run, args=(stop,))
            thread.start()
            wait_until(lambda: bool(faults) and seen(office).takes_orders)
        alice = id_of(slapd, "alice")
        office.remote(10).set_password(Subject(DIRECTORY, alice), NEW)
        stop.set()
        thread.join(10)
    assert slapd.accepts("alice", NEW)
