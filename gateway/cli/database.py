"""`sparekey database`: the schema, and what is no longer needed."""

import datetime as dt
from pathlib import Path

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file


@click.group()
def command() -> None:
    """Look after the database."""


@command.command()
@settings_file
@secrets_directory
def upgrade(settings_path: Path, secrets: Path | None) -> None:
    """Bring the schema to this version's; safe to repeat."""
    from gateway.stores import open_database

    database = open_database(load_or_exit(settings_path, secrets))
    database.upgrade()
    database.dispose()
    click.echo("the schema is current")


@command.command()
@settings_file
@secrets_directory
def purge(settings_path: Path, secrets: Path | None) -> None:
    """Forget spent codes and claims that are older than a month; run it from a timer."""
    from gateway.services import system_clock
    from gateway.stores import open_database

    database = open_database(load_or_exit(settings_path, secrets))
    with database.transaction() as transaction:
        forgotten = transaction.spent.purge(system_clock() - dt.timedelta(days=30))
    database.dispose()
    click.echo(f"{forgotten} forgotten")
