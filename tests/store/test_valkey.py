import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from store.errors import StoreMisconfigured
from store.valkey import EmbeddedValkey


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    embedded = EmbeddedValkey(tmp_path / "valkey")
    yield embedded
    embedded.stop()


def process_of(client: redis.Redis) -> psutil.Process:
    return psutil.Process(client.info("server")["process_id"])


def test_it_answers_on_a_private_socket_and_on_no_port(server: EmbeddedValkey, tmp_path: Path) -> None:
    url = server.start()
    with redis.Redis.from_url(url) as client:
        process = process_of(client)
    socket = Path(url.removeprefix("unix://"))
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "valkey").stat().st_mode) == 0o700
    assert process.net_connections("inet") == []


def test_it_evicts_nothing_and_writes_everything_down(server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(server.start()) as client:
        settings = client.config_get("maxmemory-policy", "appendonly", "appendfsync", "save")
    assert settings == {
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }


def test_it_starts_in_less_than_a_third_of_a_second(server: EmbeddedValkey) -> None:
    started = time.process_time(), time.monotonic()
    server.start()
    # On a machine that is busy with other tests the wall clock says little; our own share must be small.
    assert time.process_time() - started[0] < 0.3
    assert time.monotonic() - started[1] < 3


def test_what_it_held_is_there_after_a_restart(server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(server.start()) as client:
        client.set("key", "value")
    server.stop()
    with redis.Redis.from_url(server.start()) as client:
        assert client.get("key") == b"value"


def test_what_it_held_survives_being_killed(server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(server.start()) as client:
        client.set("key", "value")
        client.waitaof(1, 0, 5000)
        process_of(client).kill()
    server.stop()
    with redis.Redis.from_url(server.start()) as client:
        assert client.get("key") == b"value"


def test_stopping_leaves_no_process_and_can_be_repeated(server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(server.start()) as client:
        process = process_of(client)
    server.stop()
    server.stop()
    assert not process.is_running()


def test_a_second_server_on_the_same_directory_is_refused(server: EmbeddedValkey, tmp_path: Path) -> None:
    server.start()
    with pytest.raises(StoreMisconfigured):
        EmbeddedValkey(tmp_path / "valkey").start()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreMisconfigured):
        EmbeddedValkey(tmp_path / "file" / "valkey").start()


def test_a_directory_too_deep_for_a_socket_gets_it_elsewhere_as_private(tmp_path: Path) -> None:
    server = EmbeddedValkey(tmp_path / ("deep" * 30))
    url = server.start()
    with redis.Redis.from_url(url) as client:
        assert client.ping()
    folder = Path(url.removeprefix("unix://")).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    server.stop()
    assert not folder.exists()


def test_a_socket_left_by_a_crash_is_replaced(server: EmbeddedValkey, tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "valkey.sock").touch()
    with redis.Redis.from_url(server.start()) as client:
        assert client.ping()


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent_however_that_ends(tmp_path: Path, ending: signal.Signals) -> None:
    program = """
        import sys, time
        from pathlib import Path
        from store.valkey import EmbeddedValkey
        print(EmbeddedValkey(Path(sys.argv[1])).start(), flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path / "valkey"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with parent:
        assert parent.stdout is not None
        with redis.Redis.from_url(parent.stdout.readline().strip()) as client:
            server = process_of(client)
        parent.send_signal(ending)
    psutil.wait_procs([server], timeout=20)
    assert not server.is_running()


def test_a_signal_to_our_process_group_does_not_reach_it(server: EmbeddedValkey) -> None:
    with redis.Redis.from_url(server.start()) as client:
        assert os.getpgid(int(client.info("server")["process_id"])) != os.getpgrp()
