"""`sparekey worker`: jobs in a process of their own."""

import datetime as dt
import os
import signal
import threading
from pathlib import Path

import click
import structlog

from gateway.cli.options import load_or_exit, opened, secrets_directory, settings_file


@click.command()
@settings_file
@secrets_directory
@click.option("--of-gateway", is_flag=True, hidden=True, help="As `sparekey serve` starts it.")
def command(settings_path: Path, secrets: Path | None, *, of_gateway: bool) -> None:
    """Deliver messages and run the other jobs of the queue.

    `sparekey serve` starts one of these for itself; more of them, on hosts of their own, are for when that
    is outgrown. They need a Redis or Valkey that all reach (`redis.url`), not the embedded one.
    """
    from gateway.logs import configure
    from gateway.stores import beside_gateway

    settings = load_or_exit(settings_path, secrets)
    if settings.redis.url == "embedded" and not of_gateway:
        raise click.UsageError("redis.url is `embedded`: `sparekey serve` runs its own worker")
    configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if of_gateway:
        # Ctrl-C reaches a terminal's whole group; the gateway alone says when its worker ends. Not a session
        # of its own: Linux may share a core among sessions first, whatever is in them.
        os.setpgrp()
        threading.Thread(target=_await_end, args=(stop,), daemon=True).start()
    with opened(beside_gateway(settings), patience=dt.timedelta(minutes=1), is_worker=True) as sparekey:
        if of_gateway:
            _give_way()
        sparekey.services.jobs.start_thread(workers=4)
        click.echo("working")
        stop.wait()
        sparekey.services.jobs.stop()


def _give_way() -> None:
    """Take a core only where nothing else wants it: a request that wakes goes first, at once.

    That is true of this thread and of those that it starts.
    """
    try:
        # Security: on one core, too, a job does not show in the time of the next answer (S27).
        # Source: Linux, sched(7); niceness alone lets whoever runs finish its slice.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        structlog.get_logger("sparekey.worker").warning("worker_gives_no_way")


def _await_end(stop: threading.Event) -> None:
    """Stop when standard input ends: the gateway holds its other end, and closes it even by dying."""
    while os.read(0, 1):
        pass
    stop.set()
