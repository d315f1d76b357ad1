"""`sparekey database`: the schema."""

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
    from gateway.app import open_database

    database = open_database(load_or_exit(settings_path, secrets))
    database.upgrade()
    database.dispose()
    click.echo("the schema is current")
