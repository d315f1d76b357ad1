"""`sparekey people`: what operators do for one person."""

import getpass
from pathlib import Path

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file


@click.group()
def command() -> None:
    """Help one person."""


@command.command()
@click.argument("identifier")
@settings_file
@secrets_directory
def unfreeze(identifier: str, settings_path: Path, secrets: Path | None) -> None:
    """Let account recovery work again after "this was not me".

    What was bound since the event stays suspended; the person registers again. Recorded in the audit with
    your name. First make sure, face to face or by a number you know, that you talk to the person.
    """
    from flows.freezing import unfreeze as unfreeze_person
    from gateway.app import open_database
    from gateway.providers import open_provider
    from gateway.services import system_clock

    settings = load_or_exit(settings_path, secrets)
    provider = open_provider(settings)
    identity = provider.directory.find(identifier)
    provider.close()
    if identity is None:
        raise click.ClickException("no one person has this name")
    database = open_database(settings)
    known = unfreeze_person(database, identity.subject, author=getpass.getuser(), now=system_clock())
    database.dispose()
    if not known:
        raise click.ClickException("this person never registered anything, so nothing is frozen")
    click.echo(f"account recovery of {identity.username} works again")
