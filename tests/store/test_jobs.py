import datetime as dt
import json
import logging
import os
import pickle
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huey.registry import Message

from store.errors import StoreUnavailable
from store.jobs import Body, Jobs, UnknownJob
from store.valkey import EmbeddedValkey
from store.vault import Vault
from tests.servers.valkey import Valkey

QUEUE = "huey.redis.sparekey"
SCHEDULE = "huey.schedule.sparekey"
SECOND = dt.timedelta(seconds=1)


class Done:
    """What was done, and a way to wait for it."""

    def __init__(self) -> None:
        self.bodies: list[Body] = []
        self._changed = threading.Condition()

    def __call__(self, body: Body) -> None:
        with self._changed:
            self.bodies.append(body)
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.bodies) >= number, timeout=20)


@pytest.fixture
def jobs(valkey: Valkey, vault: Vault) -> Iterator[Jobs]:
    queue = Jobs(valkey.url, vault)
    yield queue
    queue.stop()


@pytest.fixture
def done(jobs: Jobs) -> Done:
    function = Done()
    jobs.register("message.send", function)
    return function


def test_a_job_is_done_with_its_body(jobs: Jobs, done: Done) -> None:
    body = {"id": "1", "list": [1, None, True], "text": "Größe \u202e"}
    jobs.enqueue("message.send", body)
    assert jobs.pending() == 1
    assert jobs.drain() == 1
    assert done.bodies == [body]
    assert jobs.pending() == 0


def test_jobs_are_done_in_the_order_in_which_they_came(jobs: Jobs, done: Done) -> None:
    for number in range(5):
        jobs.enqueue("message.send", {"number": number})
    jobs.drain()
    assert [body["number"] for body in done.bodies] == [0, 1, 2, 3, 4]


def test_an_unknown_name_is_refused_where_it_is_enqueued(jobs: Jobs) -> None:
    with pytest.raises(UnknownJob):
        jobs.enqueue("message.unknown", {})


def test_nothing_on_the_queue_can_be_read(jobs: Jobs, done: Done, valkey: Valkey) -> None:
    jobs.enqueue("message.send", {"secret": "telltale"})
    jobs.enqueue("message.send", {"secret": "telltale"}, delay=SECOND)
    for message in [*valkey.client.lrange(QUEUE, 0, -1), *valkey.client.zrange(SCHEDULE, 0, -1)]:
        assert b"telltale" not in message
        assert b"message.send" not in message


def test_a_delayed_job_waits(jobs: Jobs, done: Done) -> None:
    jobs.enqueue("message.send", {}, delay=60 * SECOND)
    assert jobs.drain() == 0
    assert jobs.pending() == 1
    assert jobs.drain(now=dt.datetime.now(dt.UTC) + 59 * SECOND) == 0
    assert jobs.drain(now=dt.datetime.now(dt.UTC) + 61 * SECOND) == 1
    assert done.bodies == [{}]


def test_a_failing_job_is_tried_again_after_twice_the_wait_each_time(jobs: Jobs) -> None:
    tried: list[Body] = []

    def fail(body: Body) -> None:
        tried.append(body)
        raise OSError

    jobs.register("message.fail", fail, retries=3, retry_delay=10 * SECOND)
    jobs.enqueue("message.fail", {})
    jobs.drain()
    assert len(tried) == 1
    waits = []
    for _ in range(3):
        (score,) = [score for _, score in jobs._queue.storage.conn.zrange(SCHEDULE, 0, -1, withscores=True)]
        waits.append(score - jobs._queue.storage.convert_ts(dt.datetime.now(dt.UTC).replace(tzinfo=None)))
        jobs.drain(now=dt.datetime.now(dt.UTC) + 100 * SECOND)
    assert [round(wait, -1) for wait in waits] == [10, 20, 40]
    assert len(tried) == 4
    assert jobs.pending() == 0


def test_a_failure_is_logged_without_what_its_error_says(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(body: Body) -> None:
        raise OSError(f"telltale {body}")

    caplog.set_level(logging.DEBUG)
    jobs.register("message.fail", fail, retries=0)
    jobs.enqueue("message.fail", {"to": "telltale"})
    jobs.drain()
    assert "job message.fail failed: OSError at test_jobs.py" in caplog.text
    assert "telltale" not in caplog.text


class Bomb:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.file),))


def order() -> dict[str, object]:
    """What an honest message holds under its seal."""
    made_at = dt.datetime.now(dt.UTC).isoformat()
    fixed = {"id": "1", "name": "message.send", "body": {}, "not_before": None}
    return fixed | {"retries": 0, "retry_delay": 0, "made_at": made_at}


def forgeries(folder: Path) -> dict[str, bytes]:
    message = Message(id="1", name="job.message.send", args=({},), kwargs={}, retries=0, retry_delay=0)
    stranger = Vault([b"another ring's key, of 32 bytes."])
    document = order()
    return {
        "a pickle that acts": pickle.dumps(Bomb(folder / "executed")),
        "a pickled message that acts": pickle.dumps(message._replace(args=(Bomb(folder / "executed"),))),
        "a pickled message": pickle.dumps(message),
        "JSON without a seal": json.dumps(document).encode(),
        "JSON under another ring's seal": stranger.seal(json.dumps(document).encode(), "job"),
        "nothing": b"",
        "noise": b"\xff" * 300,
    }


def ours_but_wrong(vault: Vault) -> dict[str, bytes]:
    whole = order()
    old = (dt.datetime.now(dt.UTC) - dt.timedelta(days=8)).isoformat()
    documents: dict[str, object] = {
        "a name that is not registered": whole | {"name": "os.system"},
        "a body that is a list": whole | {"body": ["rm"]},
        "no body": {name: value for name, value in whole.items() if name != "body"},
        "no object": ["message.send"],
        "a message of last week": whole | {"made_at": old},
        "a name that is no text": whole | {"name": ["message.send"]},
        "no time": {name: value for name, value in whole.items() if name != "made_at"},
    }
    sealed = {what: vault.seal(json.dumps(document).encode(), "job") for what, document in documents.items()}
    return sealed | {
        "no JSON": vault.seal(b"\xff{", "job"),
        "a value sealed for another place": vault.seal(json.dumps(whole).encode(), "authenticator:1"),
    }


def test_what_the_forgeries_were_made_from_is_accepted(
    jobs: Jobs, done: Done, valkey: Valkey, vault: Vault
) -> None:
    valkey.client.lpush(QUEUE, vault.seal(json.dumps(order()).encode(), "job"))
    jobs.drain()
    assert done.bodies == [{}]


def test_forged_messages_are_dropped_and_never_executed(
    jobs: Jobs, done: Done, valkey: Valkey, vault: Vault, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    forged = forgeries(tmp_path) | ours_but_wrong(vault)
    valkey.client.lpush(QUEUE, *forged.values())
    jobs.enqueue("message.send", {"honest": True})
    assert jobs.drain() == 1
    assert done.bodies == [{"honest": True}]
    assert list(tmp_path.iterdir()) == []
    assert caplog.text.count("dropped") == len(forged)


def test_forged_delayed_messages_are_dropped_too(
    jobs: Jobs, done: Done, valkey: Valkey, vault: Vault, tmp_path: Path
) -> None:
    forged = forgeries(tmp_path) | ours_but_wrong(vault)
    valkey.client.zadd(SCHEDULE, dict.fromkeys(forged.values(), 0))
    assert jobs.drain() == 0
    assert done.bodies == []
    assert list(tmp_path.iterdir()) == []
    assert jobs.pending() == 0


def test_a_running_worker_survives_forgeries_and_goes_on_at_once(
    jobs: Jobs, done: Done, valkey: Valkey, vault: Vault, tmp_path: Path
) -> None:
    jobs.start_thread()
    for message in (forgeries(tmp_path) | ours_but_wrong(vault)).values():
        valkey.client.lpush(QUEUE, message)
    jobs.enqueue("message.send", {"honest": True})
    done.wait_for(1)
    assert list(tmp_path.iterdir()) == []


def test_huey_reads_no_revocations_that_others_may_have_written(
    jobs: Jobs, done: Done, valkey: Valkey, tmp_path: Path
) -> None:
    jobs.enqueue("message.send", {})
    for message in jobs._queue.pending():
        valkey.client.hset(
            "huey.results.sparekey", f"r:{message.id}", pickle.dumps(Bomb(tmp_path / "executed"))
        )
    jobs.drain()
    assert done.bodies == [{}]
    assert list(tmp_path.iterdir()) == []


def test_a_worker_in_a_thread_does_jobs_and_leaves_signals_alone(jobs: Jobs, done: Done) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    jobs.start_thread()
    jobs.enqueue("message.send", {"number": 1})
    jobs.enqueue("message.send", {"number": 2}, delay=dt.timedelta(milliseconds=100))
    done.wait_for(2)
    assert before == [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]


def test_stopping_waits_for_the_job_under_way_and_leaves_the_rest(jobs: Jobs) -> None:
    started, released, ended = threading.Event(), threading.Event(), list[bool]()

    def slow(_body: Body) -> None:
        started.set()
        ended.append(released.wait(20))

    jobs.register("message.slow", slow)
    jobs.enqueue("message.slow", {})
    jobs.enqueue("message.slow", {})
    jobs.start_thread()
    assert started.wait(20)
    stopping = threading.Thread(target=jobs.stop)
    stopping.start()
    stopping.join(0.3)
    assert stopping.is_alive()
    released.set()
    stopping.join(20)
    assert ended == [True]
    assert jobs.pending() == 1


def test_several_workers_do_each_job_once(jobs: Jobs, done: Done, valkey: Valkey, vault: Vault) -> None:
    other = Jobs(valkey.url, vault)
    other.register("message.send", done)
    for each in (jobs, other):
        each.start_thread(workers=2)
    for number in range(100):
        jobs.enqueue("message.send", {"number": number})
    done.wait_for(100)
    for queue in (jobs, other):
        queue.stop()
    assert sorted(body["number"] for body in done.bodies) == list(range(100))


def test_immediate_jobs_need_no_server(vault: Vault) -> None:
    jobs, done = Jobs("unix:///nowhere", vault, immediate=True), Done()
    jobs.register("message.send", done)
    jobs.enqueue("message.send", {"pair": (1, 2)})
    assert done.bodies == [{"pair": [1, 2]}]
    with pytest.raises(UnknownJob):
        jobs.enqueue("message.unknown", {})


def test_a_stopped_server_is_unavailable_and_its_worker_returns_with_it(
    tmp_path_factory: pytest.TempPathFactory, vault: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    server, done = EmbeddedValkey(tmp_path_factory.mktemp("valkey")), Done()
    jobs = Jobs(server.start(), vault)
    jobs.register("message.send", done)
    jobs.start_thread()
    server.stop()
    with pytest.raises(StoreUnavailable):
        jobs.enqueue("message.send", {})
    server.start()
    jobs.enqueue("message.send", {"after": True})
    done.wait_for(1)
    jobs.stop()
    server.stop()


def test_a_body_that_json_cannot_hold_is_refused_before_it_is_queued(jobs: Jobs, done: Done) -> None:
    with pytest.raises(TypeError):
        jobs.enqueue("message.send", {"secret": b"bytes"})
    assert jobs.pending() == 0
