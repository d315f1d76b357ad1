"""`sparekey agents`: the gateway's side of the writeback agents."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file
from gateway.cli.who_runs import operator_name

if TYPE_CHECKING:
    from gateway.agents.writeback import Writeback


@click.group()
def command() -> None:
    """Invite writeback agents, see how they are, and let them go."""


@command.command()
@click.argument("directory")
@settings_file
@secrets_directory
def invite(directory: str, settings_path: Path, secrets: Path | None) -> None:
    """Print a token with which one agent may join for DIRECTORY within an hour."""
    from idp_plugin.writeback.joining import LIFE, Invitation

    with _writeback(settings_path, secrets) as writeback:
        if directory not in writeback.directories:
            raise click.ClickException(f"no directory {directory} with `agent = true` in the settings")
        secret = writeback.invite(directory, LIFE, operator_name())
        click.echo(str(Invitation.of(secret, writeback.signer.key)))


@command.command()
@settings_file
@secrets_directory
@click.option("--json", "as_json", is_flag=True, help="For scripts: a list of objects.")
def status(settings_path: Path, secrets: Path | None, *, as_json: bool) -> None:
    """Say how writeback stands at each agent; exit status 1 where any directory has none that works."""
    from gateway.agents.status import described

    with _writeback(settings_path, secrets) as writeback:
        agents = writeback.agents()
    lines = [described(directory, seen) for directory, all_seen in agents.items() for seen in all_seen]
    if as_json:
        click.echo(json.dumps(lines))
    for line in () if as_json else lines:
        click.echo(f"{line['directory']}  {line['name']} ({line['agent']}): {line['text']}")
        for problem in line["problems"]:
            click.echo(f"    {problem}")
    down = [name for name, seen in agents.items() if not any(each.takes_orders for each in seen)]
    for name in down if not as_json else ():
        click.echo(f"{name}  no agent takes orders: passwords cannot be written", err=True)
    if down:
        raise click.exceptions.Exit(1)


@command.command()
@click.argument("agent")
@settings_file
@secrets_directory
def revoke(agent: str, settings_path: Path, secrets: Path | None) -> None:
    """Let the agent with this id work no more; nothing is sealed to it from now on."""
    with _writeback(settings_path, secrets) as writeback:
        if not writeback.revoke(agent, operator_name()):
            raise click.ClickException("no such agent, or revoked already")
    click.echo(f"{agent} is revoked; remove its Redis user too, if it has one")


@command.command("redis-user")
@click.argument("name")
@click.argument("directory")
def redis_user_line(name: str, directory: str) -> None:
    """Print the `ACL SETUSER` line of a Redis user for DIRECTORY's agents, with a fresh password."""
    from idp_plugin.writeback.streams import redis_user

    try:
        click.echo(redis_user(name, directory, ""))
    except ValueError as error:
        raise click.ClickException("a name or a directory has letters that Redis would misread") from error


@contextlib.contextmanager
def _writeback(settings_path: Path, secrets: Path | None) -> "Iterator[Writeback]":
    from gateway.agents.opening import open_writeback

    writeback = open_writeback(load_or_exit(settings_path, secrets))
    try:
        yield writeback
    finally:
        writeback.close()
        writeback.database.dispose()
