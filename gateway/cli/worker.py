"""`sparekey worker`: jobs on a host of their own."""

import signal
import threading
from pathlib import Path

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file


@click.command()
@settings_file
@secrets_directory
def command(settings_path: Path, secrets: Path | None) -> None:
    """Deliver messages and run the other jobs of the queue.

    `sparekey serve` does this in a thread; workers are for when that is outgrown. Needs a Redis or Valkey
    that both reach (`redis.url`), not the embedded one.
    """
    from gateway.app import build
    from gateway.logs import configure

    settings = load_or_exit(settings_path, secrets)
    if settings.redis.url == "embedded":
        raise click.UsageError("redis.url is `embedded`: `sparekey serve` runs its own worker")
    configure()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with build(settings) as sparekey:
        sparekey.services.jobs.start_thread(workers=4)
        click.echo("working")
        stop.wait()
        sparekey.services.jobs.stop()
