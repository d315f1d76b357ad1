"""A command is sent once, over a connection on which nothing else is under way."""

import contextlib
import datetime as dt
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from store.expiring import Expiring

MINUTE = dt.timedelta(minutes=1)


def test_many_at_once_get_their_own_answers(expiring: Expiring) -> None:
    for number in range(40):
        expiring.put("test", str(number), str(number).encode(), ttl=MINUTE)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: expiring.peek("test", str(number % 40)), range(400)))
    assert found == [str(number % 40).encode() for number in range(400)]


def test_a_refused_command_leaves_no_answer_behind(expiring: Expiring) -> None:
    expiring.client.set("text", "value")
    for _ in range(3):
        with pytest.raises(redis.ResponseError):
            expiring.client.incr("text")
        assert expiring.client.get("text") == b"value"


def test_an_answer_that_waits_is_not_the_next_commands(expiring: Expiring) -> None:
    expiring.client.set("text", "value")
    (connection,) = expiring.client._idle
    connection.send_command("ECHO", "somebody else's")
    while not connection.can_read():
        pass
    assert expiring.client.get("text") == b"value"


def test_a_connection_that_the_server_ended_is_made_anew(expiring: Expiring) -> None:
    expiring.client.set("text", "value")
    (connection,) = expiring.client._idle
    other = redis.Redis(connection_pool=expiring.client.connection_pool)
    other.client_kill_filter(_type="normal", skipme=True)
    other.close()
    with contextlib.suppress(redis.ConnectionError):
        while not connection.can_read():
            pass
    assert expiring.client.get("text") == b"value"


def test_a_process_that_splits_off_speaks_over_a_connection_of_its_own(expiring: Expiring) -> None:
    expiring.client.set("text", "value")
    (connection,) = expiring.client._idle
    connection.pid = os.getpid() + 1
    assert expiring.client.get("text") == b"value"
    assert connection not in expiring.client._idle


def test_closing_closes_what_every_thread_used(expiring: Expiring) -> None:
    threads = [threading.Thread(target=expiring.ping) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    used = list(expiring.client._idle)
    expiring.close()
    assert all(connection._sock is None for connection in used)
