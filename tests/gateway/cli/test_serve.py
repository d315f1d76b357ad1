"""`sparekey serve` and the process that it keeps for its jobs."""

import datetime as dt
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from enforcement.policy import load as load_policy
from gateway.settings import load
from gateway.stores import redis_beside
from store.jobs import Jobs
from tests.data_plane.site import Site, eventually, site


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Site]:
    with site("embedded", tmp_path) as running:
        eventually(lambda: bool(workers(running)) and "working" in told(running))
        yield running


def told(running: Site) -> str:
    return (running.folder / "gateway.log").read_text()


def workers(running: Site) -> list[psutil.Process]:
    children = psutil.Process(running.processes["gateway"].pid).children()
    return [each for each in children if "worker" in each.cmdline()]


def leave_a_job(running: Site) -> Jobs:
    """Put something on the queue that no worker knows, so that it is dropped by whoever takes it."""
    jobs = Jobs(redis_beside(load(running.folder / "sparekey.toml")), running.vault)
    jobs.register("test.unknown", lambda _body: None)
    jobs.enqueue("test.unknown", {})
    return jobs


def test_jobs_are_done_by_a_less_urgent_process_and_by_another_when_that_one_dies(started: Site) -> None:
    jobs = leave_a_job(started)
    eventually(lambda: jobs.pending() == 0)
    (first,) = workers(started)
    assert os.sched_getscheduler(first.pid) == os.SCHED_IDLE
    assert os.getsid(first.pid) == os.getsid(started.processes["gateway"].pid)
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    leave_a_job(started).stop()
    eventually(lambda: jobs.pending() == 0, 60)
    assert [each.pid for each in workers(started)] != [first.pid]
    assert '"event": "worker_ended"' in told(started)
    jobs.stop()


def test_a_worker_that_starts_late_puts_no_older_policy_in_force(started: Site) -> None:
    weaker = load_policy((started.folder / "policies.toml").read_text().replace("deny", "release"))
    with started.database.transaction() as transaction:
        transaction.policies.store(weaker.document(), author="ana", now=dt.datetime.now(dt.UTC))
    (first,) = workers(started)
    first.send_signal(signal.SIGKILL)
    eventually(lambda: told(started).count("working\n") == 2, 60)
    with started.database.reading() as reading:
        newest = reading.policies.newest()
    assert newest is not None
    assert newest.author == "ana"


def test_a_gateway_that_is_told_to_stop_takes_its_worker_along_and_reports_nothing(started: Site) -> None:
    (worker,) = workers(started)
    gateway = started.processes.pop("gateway")
    gateway.terminate()
    assert gateway.wait(30) == 0
    assert not psutil.pid_exists(worker.pid)
    assert "worker_ended" not in told(started)


def test_a_worker_does_not_outlive_a_gateway_that_was_killed(started: Site) -> None:
    (worker,) = workers(started)
    started.kill_gateway()
    worker.wait(30)
    assert not worker.is_running()
