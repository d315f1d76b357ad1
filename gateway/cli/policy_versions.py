"""`sparekey policy set`, `waiting`, `approve` and `reject`: versions of the policy, and who answers for them.

The group is `gateway.cli.policy`'s.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file
from gateway.cli.who_runs import operator_name

if TYPE_CHECKING:
    from enforcement.policy import Policy
    from enforcement.proposals import Waiting
    from gateway.settings import Settings
    from store.database import Database

_T = TypeVar("_T")
_WHY_NOT = {
    "unknown": "no version with this number waits",
    "outdated": "another version came into force meanwhile: propose it again",
    "same_person": "you proposed it: a second person has to approve it",
}


@click.command("set")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@settings_file
@secrets_directory
def set_policy(file: Path, settings_path: Path, secrets: Path | None) -> None:
    """Put a policy document (TOML) in force, unless it is weaker for anybody.

    A weaker one waits until a second person approves it, and the exit status is 1. The file that the settings
    name is read again at the next start: keep it the same.
    """
    from enforcement.proposals import put_forward

    text, now = file.read_text("utf-8"), _now()
    with _opened(settings_path, secrets) as (settings, database):
        outcome = _refused(lambda: put_forward(database, text, author=operator_name(), now=now))
        _told(outcome, settings, now)


@click.command("waiting")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@settings_file
@secrets_directory
def show_waiting(as_json: bool, settings_path: Path, secrets: Path | None) -> None:
    """Show which versions wait, and in what they are weaker."""
    from enforcement.proposals import waiting

    with _opened(settings_path, secrets) as (_settings, database):
        found = waiting(database)
    if as_json:
        click.echo(json.dumps([_as_json(each) for each in found]))
        return
    for each in found:
        author = each.author or "the policy file"
        click.echo(f"{each.number}: proposed by {author}, {each.proposed_at:%F %H:%M} UTC")
        _echo_weaker(each)


@click.command()
@click.argument("number", type=int)
@settings_file
@secrets_directory
def approve(number: int, settings_path: Path, secrets: Path | None) -> None:
    """Put a weaker version in force that somebody else proposed.

    One that was found in the policy file needs two people: the first answers for it, the second approves.
    Recorded in the audit with your name.
    """
    from enforcement.proposals import approve as approve_version

    now = _now()
    with _opened(settings_path, secrets) as (settings, database):
        delay = dt.timedelta(hours=settings.policies.weaker_after_hours)
        outcome = _refused(
            lambda: approve_version(database, number, author=operator_name(), now=now, delay=delay)
        )
        _told(outcome, settings, now)


@click.command()
@click.argument("number", type=int)
@settings_file
@secrets_directory
def reject(number: int, settings_path: Path, secrets: Path | None) -> None:
    """Drop a version that waits. Recorded in the audit with your name."""
    from enforcement.proposals import reject as reject_version

    with _opened(settings_path, secrets) as (_settings, database):
        _refused(lambda: reject_version(database, number, author=operator_name(), now=_now()))
    click.echo(f"version {number} no longer waits")


@contextmanager
def _opened(settings_path: Path, secrets: Path | None) -> "Iterator[tuple[Settings, Database]]":
    from gateway.stores import open_database

    settings = load_or_exit(settings_path, secrets)
    database = open_database(settings)
    try:
        yield settings, database
    finally:
        database.dispose()


def _now() -> dt.datetime:
    from gateway.services import system_clock

    return system_clock()


def _refused(function: Callable[[], _T]) -> _T:
    """Run it, and turn what it refuses into a sentence and exit status 1."""
    from enforcement.policy import PolicyInvalid
    from enforcement.proposals import ProposalRefused
    from store.errors import Conflict, StoreUnavailable

    try:
        return function()
    except PolicyInvalid as error:
        problems = "\n".join(f"{where}: {what}" for where, what in error.problems)
        raise click.ClickException(f"nothing was changed\n{problems}") from error
    except ProposalRefused as error:
        if error.until:
            raise click.ClickException(f"it can be approved from {error.until:%F %H:%M} UTC on") from error
        raise click.ClickException(_WHY_NOT[error.why]) from error
    except Conflict as error:
        raise click.ClickException("somebody else changed the policy just now: try again") from error
    except StoreUnavailable as error:
        raise click.ClickException("the database does not answer; nothing was changed") from error


def _told(outcome: "Policy | Waiting", settings: "Settings", now: dt.datetime) -> None:
    from enforcement.proposals import Waiting

    if not isinstance(outcome, Waiting):
        click.echo(f"version {outcome.version} is in force")
        return
    _tell_administrators(outcome, settings, now)
    click.echo(f"not in force: it is weaker, and waits as {outcome.number} for a second person", err=True)
    _echo_weaker(outcome)
    raise click.exceptions.Exit(1)


def _tell_administrators(outcome: "Waiting", settings: "Settings", now: dt.datetime) -> None:
    from gateway.policy_notices import tell_beside
    from store.errors import StoreUnavailable

    if not outcome.is_new:
        return
    try:
        tell_beside(outcome, settings, now)
    except StoreUnavailable:
        click.echo("no gateway runs here, so the administrators were not told by mail", err=True)


def _echo_weaker(each: "Waiting") -> None:
    for one in each.weaker:
        rules = f"{one.before or 'no rule'} -> {one.after or 'no rule'}"
        click.echo(f"  {one.told}" if one.told != one.what else f"  {one.what}: {rules}")


def _as_json(each: "Waiting") -> dict[str, object]:
    return {
        "number": each.number,
        "author": each.author,
        "proposed_at": each.proposed_at.isoformat(timespec="seconds"),
        "weaker": [{"what": one.what, "before": one.before, "after": one.after} for one in each.weaker],
    }
