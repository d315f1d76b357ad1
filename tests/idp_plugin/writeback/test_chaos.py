"""Resets while agents, Valkey and slapd are killed and paused at random.

`SPAREKEY_CHAOS_RESETS` and `SPAREKEY_CHAOS_SEED` change how many and in which way.
"""

import datetime as dt
import enum
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from idp_plugin.base import Subject
from idp_plugin.errors import IdpUnavailable, OutcomeUnknown
from idp_plugin.writeback.order import LIFE
from idp_plugin.writeback.streams import key_prefix
from tests.idp_plugin.writeback.arranged import DIRECTORY, adapter, utc_now
from tests.idp_plugin.writeback.chaos import Chaos, chaos
from tests.servers.slapd import Slapd, SlapdPerson

RESETS = int(os.environ.get("SPAREKEY_CHAOS_RESETS", "200"))
SEED = int(os.environ.get("SPAREKEY_CHAOS_SEED", "5"))
AT_ONCE = 12


class Word(enum.Enum):
    """The last word that the person read."""

    WRITTEN = "written"
    NOTHING_CHANGED = "nothing changed"
    UNKNOWN = "unknown"


@dataclass
class Person:
    name: str
    account: Subject
    word: Word = Word.UNKNOWN

    @property
    def old(self) -> str:
        return f"Old-Passw0rd-{self.name}"

    @property
    def new(self) -> str:
        return f"New-Passw0rd-{self.name}"


@pytest.fixture
def folder() -> Iterator[Path]:
    # A socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory(prefix="sparekey-chaos-") as name:
        yield Path(name)


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def reset(world: Chaos, person: Person) -> None:
    """Try as people do: again where the page says that nothing was changed, three times at most."""
    for _ in range(3):
        # Spread over a while, so that something breaks meanwhile on a fast machine too.
        time.sleep(0.3)
        try_once(world, person)
        if person.word is not Word.NOTHING_CHANGED:
            return
        time.sleep(0.5)


def try_once(world: Chaos, person: Person) -> None:
    try:
        world.remote.set_password(person.account, person.new)
    except OutcomeUnknown:
        person.word = Word.UNKNOWN
    except IdpUnavailable:
        person.word = Word.NOTHING_CHANGED
    else:
        person.word = Word.WRITTEN


@pytest.mark.timeout(400)
def test_every_password_is_old_or_new_and_the_last_word_is_true(folder: Path, tmp_path: Path) -> None:
    names = [f"person{number:03}" for number in range(RESETS)]
    administrator = SlapdPerson("erin", "Erin-Passw0rd", groups=("administrators",))
    # Not changed just now: else reading back cannot do without binds, which count towards a lock.
    a_day_ago = {"pwdChangedTime": f"{utc_now() - dt.timedelta(days=1):%Y%m%d%H%M%SZ}"}
    staff = [SlapdPerson(name, f"Old-Passw0rd-{name}", attributes=a_day_ago) for name in names]
    with Slapd(tmp_path / "slapd", [administrator, *staff]) as slapd:
        found = {each.username: each.account for each in adapter(slapd).everyone()}
        people = [Person(name, found[name]) for name in names]
        with chaos(folder, slapd, SEED) as world:
            wait_until(lambda: len(world.roster.working()) == len(world.agents))
            breaking = threading.Thread(target=world.until_stopped)
            breaking.start()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(lambda person: reset(world, person), people))
            world.stop.set()
            breaking.join()
            wait_until(lambda: left_sealed(world) == set(), LIFE.total_seconds() + 30)
        words = {word: sum(person.word is word for person in people) for word in Word}
        assert len(world.done) > RESETS // 40
        wrong = [person for person in people if not is_true(slapd, person)]
        assert wrong == []
        # Not by refusing everybody.
        assert words[Word.WRITTEN] >= RESETS // 10


def is_true(slapd: Slapd, person: Person) -> bool:
    has_new = slapd.accepts(person.name, person.new)
    has_old = not has_new and slapd.accepts(person.name, person.old)
    match person.word:
        case Word.WRITTEN:
            return has_new
        case Word.NOTHING_CHANGED:
            return has_old
        case Word.UNKNOWN:
            return has_new or has_old


def left_sealed(world: Chaos) -> set[str]:
    """What of orders and answers is still in the store."""
    client = world.client()
    orders = f"{key_prefix(DIRECTORY)}orders"
    try:
        answers = {name.decode() for name in client.scan_iter("*answer*")}
        return answers | ({orders} if client.xlen(orders) else set())
    except redis.ConnectionError:
        # It was started a moment ago, and reads its file.
        return {"unknown"}
