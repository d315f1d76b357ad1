"""Options that several commands share, and how a settings problem is told."""

from pathlib import Path

import click

from gateway.settings import Settings, SettingsInvalid, load

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
