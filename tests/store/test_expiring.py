import datetime as dt
import multiprocessing
from collections.abc import Callable
from typing import Any

import pytest
import redis

from store.errors import Conflict, StoreMisconfigured, StoreUnavailable
from store.expiring import Entry, Expiring, Versioned
from store.valkey import EmbeddedValkey
from store.vault import Vault
from tests.servers.valkey import Valkey
from tests.store.conftest import MINUTE
from tests.store.race import race


def test_a_value_is_kept_and_dropped(expiring: Expiring) -> None:
    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    assert expiring.peek("attempt", "1") == b"value"
    assert expiring.peek("attempt", "1") == b"value"
    expiring.drop("attempt", "1")
    assert expiring.peek("attempt", "1") is None


def test_a_value_is_taken_once(expiring: Expiring) -> None:
    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    assert [expiring.take("attempt", "1") for _ in range(2)] == [b"value", None]


def test_kinds_and_ids_are_kept_apart(expiring: Expiring) -> None:
    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    assert expiring.peek("attempt", "2") is None
    assert expiring.peek("hold", "1") is None


def test_the_first_to_put_a_new_value_wins(expiring: Expiring) -> None:
    assert expiring.put_new("attempt", "1", b"first", ttl=MINUTE)
    assert not expiring.put_new("attempt", "1", b"second", ttl=MINUTE)
    assert expiring.peek("attempt", "1") == b"first"


def test_everything_that_is_kept_has_an_end(expiring: Expiring, valkey: Valkey) -> None:
    expiring.put("a", "1", b"value", ttl=MINUTE)
    expiring.put_new("b", "1", b"value", ttl=MINUTE)
    expiring.once("c", "1", ttl=MINUTE)
    expiring.append("d", "1", b"value", keep=3, ttl=MINUTE)
    left = [valkey.client.pttl(key) for key in valkey.client.scan_iter()]
    assert len(left) == 4
    assert all(50_000 < milliseconds <= 60_000 for milliseconds in left)


@pytest.mark.parametrize("over", [dt.timedelta(0), dt.timedelta(days=-1), dt.timedelta(microseconds=1)])
def test_what_is_over_already_is_gone_at_once(expiring: Expiring, valkey: Valkey, over: dt.timedelta) -> None:
    expiring.put("attempt", "1", b"value", ttl=over)
    valkey.client.wait(0, 5)
    assert valkey.client.pttl(expiring.name("attempt", "1")) in {-2, 0, 1}


def test_a_swap_needs_the_version_that_was_read(expiring: Expiring) -> None:
    expiring.put("attempt", "1", b"first", ttl=MINUTE)
    read = expiring.read("attempt", "1")
    assert read is not None
    assert read.value == b"first"
    expiring.swap("attempt", "1", b"second", version=read.version)
    with pytest.raises(Conflict):
        expiring.swap("attempt", "1", b"third", version=read.version)
    assert expiring.peek("attempt", "1") == b"second"


def test_a_swap_keeps_the_end_of_the_value(expiring: Expiring, valkey: Valkey) -> None:
    expiring.put("attempt", "1", b"first", ttl=MINUTE)
    read = expiring.read("attempt", "1")
    assert read is not None
    valkey.client.pexpire(expiring.name("attempt", "1"), 30_000)
    expiring.swap("attempt", "1", b"second", version=read.version)
    assert 20_000 < valkey.client.pttl(expiring.name("attempt", "1")) <= 30_000


def test_a_value_that_is_gone_or_put_anew_is_not_swapped(expiring: Expiring) -> None:
    expiring.put("attempt", "1", b"same", ttl=MINUTE)
    read = expiring.read("attempt", "1")
    assert read is not None
    expiring.take("attempt", "1")
    with pytest.raises(Conflict):
        expiring.swap("attempt", "1", b"back from the dead", version=read.version)
    expiring.put("attempt", "1", b"same", ttl=MINUTE)
    with pytest.raises(Conflict):
        expiring.swap("attempt", "1", b"another life", version=read.version)
    assert expiring.peek("attempt", "1") == b"same"


def test_nothing_is_read_where_nothing_is(expiring: Expiring) -> None:
    assert expiring.read("attempt", "1") is None
    assert expiring.entries("attempt", "1") == []


def test_a_list_keeps_its_newest_entries(expiring: Expiring) -> None:
    for number in range(5):
        expiring.append("requests", "1", b"%d" % number, keep=3, ttl=MINUTE)
    assert expiring.entries("requests", "1") == [b"4", b"3", b"2"]


def test_many_entries_go_in_one_round_trip(expiring: Expiring) -> None:
    batch = [Entry("requests", str(number % 2), b"%d" % number, 2, MINUTE) for number in range(6)]
    expiring.append_many(batch)
    expiring.append_many([])
    assert expiring.entries("requests", "0") == [b"4", b"2"]
    assert expiring.entries("requests", "1") == [b"5", b"3"]


def test_of_sixteen_threads_one_takes_the_value(expiring: Expiring) -> None:
    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    assert sorted(race(lambda _: expiring.take("attempt", "1") or b"")) == [b""] * 15 + [b"value"]


def test_of_sixteen_threads_one_puts_the_new_value(expiring: Expiring) -> None:
    assert sum(race(lambda number: expiring.put_new("attempt", "1", b"%d" % number, ttl=MINUTE))) == 1


def test_of_sixteen_threads_one_swaps(expiring: Expiring) -> None:
    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    read = expiring.read("attempt", "1")
    assert read is not None
    assert sum(race(lambda number: swapped(expiring, read, number))) == 1


def swapped(expiring: Expiring, read: Versioned, number: int) -> bool:
    try:
        expiring.swap("attempt", "1", b"%d" % number, version=read.version)
    except Conflict:
        return False
    return True


def test_of_two_processes_each_token_goes_to_one(valkey: Valkey, vault: Vault) -> None:
    processes = multiprocessing.get_context("spawn")
    with processes.Pool(2) as pool:
        won = pool.starmap(win_tokens, [(valkey.url, 50)] * 2)
    assert sorted(token for tokens in won for token in tokens) == list(range(50))


def win_tokens(url: str, tokens: int) -> list[int]:
    expiring = Expiring(url, Vault([bytes(32)]))
    won = [number for number in range(tokens) if expiring.once("token", str(number), ttl=MINUTE)]
    expiring.close()
    return won


def test_no_key_and_no_value_tells_what_was_typed(expiring: Expiring, valkey: Valkey) -> None:
    typed = "telltale@example.org"
    expiring.put("attempt", typed, typed.encode(), ttl=MINUTE)
    expiring.once("once", typed, ttl=MINUTE)
    expiring.append("list", typed, typed.encode(), keep=1, ttl=MINUTE)
    for key in valkey.client.scan_iter():
        assert b"telltale" not in key
        assert b"telltale" not in valkey.client.dump(key)


def test_every_key_of_one_id_shares_a_hash_tag(expiring: Expiring) -> None:
    tags = {expiring.name(kind, "1").split("}")[0] for kind in ("attempt", "claim")}
    assert len(tags) == 1
    assert expiring.name("attempt", "2").split("}")[0] not in tags


@pytest.mark.parametrize("hostile", ["", "\x00", "\ud800", "}{", "a b\r\nFLUSHALL\r\n", "x" * 10_000])
def test_hostile_ids_are_ids(expiring: Expiring, hostile: str) -> None:
    expiring.put("attempt", hostile, b"value", ttl=MINUTE)
    assert expiring.take("attempt", hostile) == b"value"


def test_a_value_copied_to_another_id_or_kind_is_as_good_as_none(expiring: Expiring, valkey: Valkey) -> None:
    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    stored = valkey.client.get(expiring.name("attempt", "1"))
    for kind, id_ in [("attempt", "2"), ("claim", "1")]:
        valkey.client.set(expiring.name(kind, id_), stored)
        assert expiring.peek(kind, id_) is None
        assert expiring.read(kind, id_) is None
        assert expiring.take(kind, id_) is None


@pytest.mark.parametrize("forged", [b"", b"short", b"x" * 100])
def test_a_forged_value_is_as_good_as_none(expiring: Expiring, valkey: Valkey, forged: bytes) -> None:
    valkey.client.set(expiring.name("attempt", "1"), forged)
    assert expiring.take("attempt", "1") is None


def test_a_forged_entry_is_left_out(expiring: Expiring, valkey: Valkey) -> None:
    expiring.append("list", "1", b"ours", keep=5, ttl=MINUTE)
    valkey.client.lpush(expiring.name("list", "1"), b"forged")
    assert expiring.entries("list", "1") == [b"ours"]


def test_values_open_after_a_key_was_added_where_the_name_is_known(valkey: Valkey) -> None:
    old, new = b"o" * 32, b"n" * 32
    before, after = Expiring(valkey.url, Vault([old])), Expiring(valkey.url, Vault([new, old]))
    before.put("attempt", "1", b"value", ttl=MINUTE)
    valkey.client.rename(before.name("attempt", "1"), after.name("attempt", "1"))
    assert after.take("attempt", "1") == b"value"
    before.close()
    after.close()


Operation = Callable[[Expiring], Any]
OPERATIONS: list[Operation] = [
    lambda it: it.ping(),
    lambda it: it.put("a", "1", b"", ttl=MINUTE),
    lambda it: it.put_new("a", "1", b"", ttl=MINUTE),
    lambda it: it.take("a", "1"),
    lambda it: it.peek("a", "1"),
    lambda it: it.drop("a", "1"),
    lambda it: it.once("a", "1", ttl=MINUTE),
    lambda it: it.read("a", "1"),
    lambda it: it.swap("a", "1", b"", version=1),
    lambda it: it.append("a", "1", b"", keep=1, ttl=MINUTE),
    lambda it: it.entries("a", "1"),
]


def test_every_operation_says_that_a_stopped_server_is_unavailable(
    tmp_path_factory: pytest.TempPathFactory, vault: Vault
) -> None:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    expiring = Expiring(server.start(), vault)
    server.stop()
    for operation in OPERATIONS:
        with pytest.raises(StoreUnavailable):
            operation(expiring)
    with pytest.raises(StoreUnavailable):
        Expiring("redis://127.0.0.1:1/0", vault)
    expiring.close()


def test_a_restarted_server_is_found_again_and_knows_its_scripts(
    tmp_path_factory: pytest.TempPathFactory, vault: Vault
) -> None:
    server = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    expiring = Expiring(server.start(), vault)
    expiring.append("list", "1", b"before", keep=5, ttl=MINUTE)
    server.stop()
    server.start()
    expiring.append("list", "1", b"after", keep=5, ttl=MINUTE)
    assert expiring.entries("list", "1") == [b"after", b"before"]
    expiring.close()
    server.stop()


def test_a_server_that_may_evict_is_refused(valkey: Valkey, vault: Vault) -> None:
    valkey.client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreMisconfigured):
            Expiring(valkey.url, vault)
    finally:
        valkey.client.config_set("maxmemory-policy", "noeviction")


def test_a_full_server_is_unavailable_rather_than_forgetful(expiring: Expiring, valkey: Valkey) -> None:
    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    valkey.client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable):
            expiring.once("token", "1", ttl=MINUTE)
        assert expiring.peek("attempt", "1") == b"value"
    finally:
        valkey.client.config_set("maxmemory", "0")


def test_a_lost_answer_is_not_asked_for_twice(expiring: Expiring, valkey: Valkey) -> None:
    sent: list[bytes] = []

    class Lost(redis.connection.UnixDomainSocketConnection):
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            sent.extend(bytes(part) for part in command)
            super().send_packed_command(command, check_health)

        def read_response(self, *args: Any, **kwargs: Any) -> Any:
            answer = super().read_response(*args, **kwargs)
            if any(b"GETDEL" in part for part in sent):
                raise redis.ConnectionError
            return answer

    expiring.put("attempt", "1", b"value", ttl=MINUTE)
    expiring.client.close()
    expiring.client.connection_pool.connection_class = Lost
    with pytest.raises(StoreUnavailable):
        expiring.take("attempt", "1")
    assert sum(b"GETDEL" in part for part in sent) == 1
