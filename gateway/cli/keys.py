"""`sparekey keys`: the key ring."""

import base64
import secrets
from pathlib import Path

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file


@click.group()
def command() -> None:
    """Make and rotate the keys that seal what is stored."""


@command.command()
def new() -> None:
    """Print a fresh key for `vault.keys`."""
    click.echo(base64.b64encode(secrets.token_bytes(32)).decode())


@command.command()
@settings_file
@secrets_directory
def rotate(settings_path: Path, secrets: Path | None) -> None:
    """Seal every stored secret again with the first key of the ring.

    Afterwards the older keys may be removed from the settings.
    """
    from rich.progress import Progress

    from gateway.stores import open_database

    database = open_database(load_or_exit(settings_path, secrets))
    total = 0
    with Progress(transient=True) as progress:
        task = progress.add_task("Sealing again", total=None)
        while True:
            with database.transaction() as tx:
                done = tx.authenticators.reseal(500)
            if not done:
                break
            total += done
            progress.update(task, advance=done)
    database.dispose()
    click.echo(f"{total} secrets sealed again with the first key")
