import base64
import datetime as dt
import json

import pytest

from flows.abuse.proof_of_work import LIVES, ProofOfWork, Way
from flows.abuse.throttle import Throttle
from flows.errors import TooSoon, WorkNotDone
from flows.settings import LimitSettings
from store.counters import Counters
from store.expiring import Expiring
from store.vault import Vault
from tests.flows.world import START, solved
from tests.servers.valkey import Valkey

HERE = "192.0.2.7"


@pytest.fixture
def expiring(valkey: Valkey):
    expiring = Expiring(valkey.url, Vault([b"k" * 32]))
    yield expiring
    expiring.close()


@pytest.fixture
def throttle(expiring: Expiring) -> Throttle:
    return Throttle(Counters(expiring), LimitSettings(work_difficulty=100, starts_per_minute=3))


@pytest.fixture
def work(expiring: Expiring, throttle: Throttle) -> ProofOfWork:
    return ProofOfWork(vault=Vault([b"k" * 32]), expiring=expiring, throttle=throttle)


def altered(answer: str, **changes: object) -> str:
    read = json.loads(base64.b64decode(answer))
    return base64.b64encode(json.dumps({**read, **changes}).encode()).decode()


def test_solved_work_is_accepted_once(work: ProofOfWork) -> None:
    answer = solved(work.new_challenge("reset", HERE, START))
    assert work.accept(answer, "reset", HERE, START) is Way.HASHES
    with pytest.raises(WorkNotDone):
        work.accept(answer, "reset", HERE, START)


def test_the_challenge_has_the_shape_that_browsers_are_told(work: ProofOfWork) -> None:
    challenge = work.new_challenge("reset", HERE, START)
    assert set(challenge) == {"algorithm", "challenge", "salt", "maxnumber", "signature"}
    assert (challenge["algorithm"], challenge["maxnumber"]) == ("SHA-256", 200)


@pytest.mark.parametrize(
    ("purpose", "address"), [("unlock", HERE), ("reset", "198.51.100.7"), ("reset", "2001:db8::1")]
)
def test_work_counts_for_its_purpose_and_address_block_alone(
    work: ProofOfWork, purpose: str, address: str
) -> None:
    answer = solved(work.new_challenge("reset", HERE, START))
    with pytest.raises(WorkNotDone):
        work.accept(answer, purpose, address, START)


def test_a_neighbour_in_the_same_block_is_the_same_place(work: ProofOfWork) -> None:
    answer = solved(work.new_challenge("reset", HERE, START))
    assert work.accept(answer, "reset", "192.0.2.99", START) is Way.HASHES


def test_old_work_does_not_count(work: ProofOfWork) -> None:
    answer = solved(work.new_challenge("reset", HERE, START))
    with pytest.raises(WorkNotDone):
        work.accept(answer, "reset", HERE, START + LIVES)


def test_easy_work_from_a_quiet_minute_does_not_count_in_a_busy_one(
    work: ProofOfWork, throttle: Throttle
) -> None:
    hoarded = [solved(work.new_challenge("reset", HERE, START)) for _ in range(2)]
    for _ in range(6):
        throttle.start(HERE, START, waited=False)
    assert work.accept(hoarded[0], "reset", HERE, START)
    for _ in range(3):
        throttle.start(HERE, START, waited=False)
    with pytest.raises(WorkNotDone):
        work.accept(hoarded[1], "reset", HERE, START)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 201},
        {"number": "7"},
        {"number": True},
        {"number": None},
        {"signature": "0" * 64},
        {"signature": 7},
        {"algorithm": "SHA-1"},
        {"challenge": "0" * 64},
        {"salt": "abc?for=x&hard=100&expires=9999999999&"},
    ],
)
def test_altered_work_does_not_count(work: ProofOfWork, changes: dict[str, object]) -> None:
    answer = solved(work.new_challenge("reset", HERE, START))
    with pytest.raises(WorkNotDone):
        work.accept(altered(answer, **changes), "reset", HERE, START)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "x",
        "[]",
        "e30=",
        "MQ==",
        "bnVsbA==",
        "W10=",
        "/w==",
        "ключ",
        "A" * 3000,
        "wait.",
        "wait.x.y",
        "wait..",
    ],
)
def test_nonsense_is_no_work(work: ProofOfWork, answer: str) -> None:
    with pytest.raises(WorkNotDone):
        work.accept(answer, "reset", HERE, START)


def test_deeply_nested_nonsense_is_no_work(work: ProofOfWork) -> None:
    nested = base64.b64encode(b"[" * 1500).decode()
    with pytest.raises(WorkNotDone):
        work.accept(nested, "reset", HERE, START)


def test_a_ticket_is_good_when_the_servers_clock_says_so_and_once(work: ProofOfWork) -> None:
    ticket = work.waiting_ticket("reset", HERE, START)
    with pytest.raises(TooSoon) as refused:
        work.accept(ticket, "reset", HERE, START + dt.timedelta(seconds=5))
    assert refused.value.retry_after == dt.timedelta(seconds=15)
    later = START + dt.timedelta(seconds=20)
    assert work.accept(ticket, "reset", HERE, later) is Way.WAITED
    with pytest.raises(WorkNotDone):
        work.accept(ticket, "reset", HERE, later)


@pytest.mark.parametrize(
    ("purpose", "address", "seconds"),
    [("unlock", HERE, 20), ("reset", "198.51.100.7", 20), ("reset", HERE, 620)],
)
def test_a_ticket_is_bound_like_work(work: ProofOfWork, purpose: str, address: str, seconds: int) -> None:
    ticket = work.waiting_ticket("reset", HERE, START)
    with pytest.raises(WorkNotDone):
        work.accept(ticket, purpose, address, START + dt.timedelta(seconds=seconds))


def test_an_altered_ticket_does_not_count(work: ProofOfWork) -> None:
    name, body, signature = work.waiting_ticket("reset", HERE, START).split(".")
    stated = json.loads(base64.urlsafe_b64decode(body))
    earlier = base64.urlsafe_b64encode(json.dumps({**stated, "from": 0}).encode()).decode()
    with pytest.raises(WorkNotDone):
        work.accept(f"{name}.{earlier}.{signature}", "reset", HERE, START + dt.timedelta(seconds=20))
