"""`sparekey people`: what operators do for one person."""

import contextlib
import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file
from gateway.cli.who_runs import operator_name

if TYPE_CHECKING:
    from enforcement.policy import Purpose
    from flows.help.administrator_reset import Invited, Temporary


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
    from flows.notices.freezing import unfreeze as unfreeze_person
    from gateway.providers import open_provider
    from gateway.services import system_clock
    from gateway.stores import open_database

    settings = load_or_exit(settings_path, secrets)
    provider = open_provider(settings)
    identity = provider.directory.find(identifier)
    provider.close()
    if identity is None:
        raise click.ClickException("no one person has this name")
    database = open_database(settings)
    known = unfreeze_person(database, identity.subject, author=operator_name(), now=system_clock())
    database.dispose()
    if not known:
        raise click.ClickException("this person never registered anything, so nothing is frozen")
    click.echo(f"account recovery of {identity.username} works again")


@command.command()
@click.argument("identifier", required=False)
@click.option(
    "--changed-in-directory", is_flag=True, help="Everybody of whom the directory says something new."
)
@settings_file
@secrets_directory
def reconfirm(
    identifier: str | None, *, changed_in_directory: bool, settings_path: Path, secrets: Path | None
) -> None:
    """Have somebody asked at the next sign-in whether everything registered still is right.

    Either one person, whatever the rules say; or everybody whose addresses in the directory are others than
    when this ran last, under rules that ask for it (`reconfirm_on`). The first run only remembers what the
    directory says; run it every night. Recorded in the audit, for one person with your name.
    """
    from flows.doubts import ask_again, compare_directory
    from gateway.providers import open_provider
    from gateway.services import system_clock
    from gateway.stores import open_database, open_vault

    if bool(identifier) is changed_in_directory:
        raise click.UsageError("name one person, or say --changed-in-directory")
    settings, now = load_or_exit(settings_path, secrets), system_clock()
    with contextlib.ExitStack() as stack:
        database, provider = open_database(settings), open_provider(settings)
        stack.callback(database.dispose)
        stack.callback(provider.close)
        if not identifier:
            everybody = provider.directory.everyone()
            asked = compare_directory(database, open_vault(settings), everybody, now=now)
            click.echo(f"{asked} people are asked at their next sign-in")
            return
        identity = provider.directory.find(identifier)
        if identity is None:
            raise click.ClickException("no one person has this name")
        if not ask_again(database, identity.subject, author=operator_name(), now=now):
            raise click.ClickException("this person never registered anything: the next sign-in asks anyway")
    click.echo(f"{identity.username} is asked at the next sign-in")


@command.command("clear-limits")
@click.argument("identifier")
@settings_file
@secrets_directory
def clear_limits(identifier: str, settings_path: Path, secrets: Path | None) -> None:
    """Forget the wrong answers and code messages that are counted for one person.

    For somebody whom strangers shut out, or who tried too often. Nothing is proved or unfrozen by it, and
    what messages cost stays counted. Recorded in the audit with your name.
    """
    from gateway.limits import clear_limits_of
    from gateway.providers import open_provider

    settings = load_or_exit(settings_path, secrets)
    provider = open_provider(settings)
    try:
        identity = provider.directory.find(identifier)
        if identity is None:
            raise click.ClickException("no one person has this name")
        clear_limits_of(settings, provider.directory, identity, also=(identifier,), author=operator_name())
    finally:
        provider.close()
    click.echo(f"{identity.username} may try again")


_WHY_NO_CODE = {
    "unknown": "no one person has this name",
    "disabled": "this account is switched off",
    "privileged": "this account has special rights: no code helps it",
    "not_covered": "no rule for this person lists helpdesk_code for this",
}
_WHY_NOT_REGISTERED = {
    "unknown": "no one person has this name",
    "disabled": "this account is switched off",
    "privileged": "this account has special rights: no code helps it",
    "not_covered": "no rule lets this person register anything",
}
_WHY_NOT = {
    "unknown": "no one person has this name",
    "disabled": "the account is switched off",
    "privileged": "the account has special rights: its password is never written here",
    "cannot_force": "this directory cannot ask for a change at the next sign-in: use --send-code",
    "no_way": "nothing is registered that could prove who this is: use --temporary",
}


@command.command()
@click.argument("identifier")
@click.option(
    "--temporary",
    "way",
    flag_value="temporary",
    help="Make up a password that must be changed, and show it once.",
)
@click.option(
    "--send-code",
    "way",
    flag_value="invitation",
    help="Send a link to the person's own reset; nobody else learns a password.",
)
@settings_file
@secrets_directory
def reset(identifier: str, way: str | None, settings_path: Path, secrets: Path | None) -> None:
    """Help somebody who cannot get in, with a temporary password or by a link to a reset.

    First make sure, face to face or by a number you know, that you talk to the person. Needs a running
    gateway, which delivers the messages. Recorded in the audit with your name, and told to the person.
    """
    from flows.errors import Failed, HelpRefused, OutcomeIsUnknown, Unavailable
    from gateway.helping import open_help
    from gateway.services import system_clock
    from store.errors import StoreUnavailable

    if way is None:
        raise click.UsageError("choose --temporary or --send-code")
    settings, author, now = load_or_exit(settings_path, secrets), operator_name(), system_clock()
    try:
        with open_help(settings) as helping:
            if way == "temporary":
                _tell_temporary(helping.administrator_reset.temporary(identifier, author=author, now=now))
            else:
                _tell_invited(helping.administrator_reset.invite(identifier, author=author, now=now))
    except HelpRefused as error:
        raise click.ClickException(_WHY_NOT.get(error.why, error.why)) from error
    except OutcomeIsUnknown as error:
        raise click.ClickException(
            "the password may have been changed to one that nobody knows: run this again"
        ) from error
    except (Unavailable, StoreUnavailable) as error:
        raise click.ClickException("a part that is needed does not answer; nothing was changed") from error
    except Failed as error:
        raise click.ClickException("the directory refused; nothing was changed") from error


def _tell_temporary(done: "Temporary") -> None:
    click.echo(f"temporary password of {done.username}, shown once: {done.password}")
    click.echo(f"it must be changed at the next sign-in; reference {done.reference}")
    if done.sessions_left != 0:
        click.echo("some sessions may still be open", err=True)


def _tell_invited(done: "Invited") -> None:
    click.echo(f"{done.username} is sent a link, in {done.messages} messages; reference {done.reference}")


@command.command()
@click.argument("identifier")
@click.option(
    "--purpose", type=click.Choice(["reset", "unlock", "change"]), default="reset", show_default=True
)
@click.option("--reference", required=True, help="What the caller reads out from the screen.")
@settings_file
@secrets_directory
def code(
    identifier: str, purpose: "Purpose", reference: str, settings_path: Path, secrets: Path | None
) -> None:
    """Hand out a code that counts as one proof, for 15 minutes, in the caller's own attempt.

    First make sure, face to face or by a number you know, that you talk to the person. The caller chooses
    "Use a code that my helpdesk tells me" and reads the reference to you. A newer code voids an older one.
    Needs a running gateway. Recorded in the audit with your name.
    """
    from flows.errors import HelpRefused, Unavailable
    from gateway.helping import open_help
    from gateway.services import system_clock
    from store.errors import StoreUnavailable

    settings = load_or_exit(settings_path, secrets)
    try:
        with open_help(settings) as helping:
            handed_out = helping.helpdesk_codes.issue(
                identifier, purpose, reference, author=operator_name(), now=system_clock()
            )
    except HelpRefused as error:
        raise click.ClickException(_WHY_NO_CODE.get(error.why, error.why)) from error
    except (Unavailable, StoreUnavailable) as error:
        raise click.ClickException("a part that is needed does not answer; nothing was handed out") from error
    click.echo(f"code for {handed_out.username}: {handed_out.code}")
    click.echo(f"good until {handed_out.until:%H:%M} UTC, in the attempt {reference} alone")


@command.command("registration-code")
@click.argument("identifier")
@click.option(
    "--hours", type=click.IntRange(1, 72), default=24, show_default=True, help="How long it is good."
)
@settings_file
@secrets_directory
def registration_code(identifier: str, hours: int, settings_path: Path, secrets: Path | None) -> None:
    """Hand out a code with which somebody adds ways back in that count at once.

    For whoever registers for the first time, or can use none of what is registered. First make sure, face to
    face or by a number you know, that you talk to the person, who types it after signing in. Works once; a
    newer one voids an older one. Needs a running gateway. Recorded in the audit with your name, and told to
    the person.
    """
    from flows.errors import HelpRefused, Unavailable
    from gateway.helping import open_help
    from gateway.services import system_clock
    from store.errors import StoreUnavailable

    settings, lives = load_or_exit(settings_path, secrets), dt.timedelta(hours=hours)
    try:
        with open_help(settings) as helping:
            issued = helping.registration_codes.issue(
                identifier, author=operator_name(), now=system_clock(), lives=lives
            )
    except HelpRefused as error:
        raise click.ClickException(_WHY_NOT_REGISTERED.get(error.why, error.why)) from error
    except (Unavailable, StoreUnavailable) as error:
        raise click.ClickException("a part that is needed does not answer; nothing was handed out") from error
    click.echo(f"registration code of {issued.username}, shown once: {issued.code}")
    click.echo(f"good until {issued.until:%F %H:%M} UTC; reference {issued.reference}")


@command.command()
@click.argument("identifier")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@settings_file
@secrets_directory
def messages(identifier: str, as_json: bool, settings_path: Path, secrets: Path | None) -> None:
    """Show what became of the newest messages to one person: never their text or address."""
    from flows.messaging.deliveries import deliveries
    from gateway.providers import open_provider
    from gateway.stores import open_database

    settings = load_or_exit(settings_path, secrets)
    provider = open_provider(settings)
    identity = provider.directory.find(identifier)
    provider.close()
    if identity is None:
        raise click.ClickException("no one person has this name")
    database, subject = open_database(settings), identity.subject
    with database.reading() as transaction:
        person = transaction.people.by_subject(subject.source, subject.id)
        events = transaction.audit.find(person_id=person.id) if person else ()
    database.dispose()
    told = [
        {
            "at": each.at.isoformat(timespec="seconds"),
            "kind": each.kind,
            "channel": each.channel,
            "state": each.state.value,
            "tries": each.tries,
            "reference": each.reference,
        }
        for each in deliveries(events)
    ]
    if as_json:
        click.echo(json.dumps(told))
        return
    for each in told:
        click.echo("  ".join(str(value) for value in each.values()))
