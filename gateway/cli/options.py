"""Options that several commands share, and how problems of what they need are told."""

import contextlib
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.settings import Settings, SettingsInvalid, load

if TYPE_CHECKING:
    from gateway.app import Sparekey

settings_file = click.option(
    "--settings",
    "settings_path",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/sparekey/sparekey.toml"),
    envvar="SPAREKEY_SETTINGS",
    show_default=True,
    show_envvar=True,
    help="The settings file.",
)
secrets_directory = click.option(
    "--secrets",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    envvar="SPAREKEY_SECRETS",
    show_envvar=True,
    help="A directory with one file per secret setting.",
)


def load_or_exit(file: Path, secrets: Path | None) -> Settings:
    """Return the settings, or print every problem and exit with status 1."""
    try:
        return load(file, secrets)
    except SettingsInvalid as invalid:
        for where, what in invalid.problems:
            click.echo(f"{where}: {what}", err=True)
        raise click.exceptions.Exit(1) from invalid


@contextlib.contextmanager
def opened(settings: Settings, *, patience: dt.timedelta, is_worker: bool = False) -> "Iterator[Sparekey]":
    """Open every part for the length of the `with` block, or say what the identity provider did not do.

    The arguments are those of `gateway.app.build`.
    """
    from gateway.app import build
    from idp_plugin.errors import IdpError

    try:
        with build(settings, patience=patience, is_worker=is_worker) as sparekey:
            yield sparekey
    except IdpError as error:
        raise click.ClickException(f"identity provider: {error}") from error
