"""`sparekey passwords`: try a password against the rules, and make the list of leaked ones."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file

if TYPE_CHECKING:
    from flows.passwords.banned import Score
    from flows.passwords.finding import Finding
    from flows.passwords.rules import PasswordRules
    from gateway.settings import Settings
    from idp_plugin.base import WriterCapabilities
    from idp_plugin.password_rules import AccountNames

_MARKS = {True: "holds ", False: "BROKEN", None: "      "}


@click.group()
def command() -> None:
    """Try a password against the rules, and prepare the list of leaked ones."""


@command.command()
@click.option("--person", default="", help="Use this person's names and directory rules.")
@click.option("--name", "names", multiple=True, help="A name that it may not contain; may be repeated.")
@settings_file
@secrets_directory
def test(person: str, names: tuple[str, ...], settings_path: Path, secrets: Path | None) -> None:
    """Tell what every rule says of a password, and how its score comes about.

    The password is asked for, or read as one line from standard input; never give it as an argument, where
    other users of this machine see it. It is not changed anywhere. Leaked passwords are looked up as the
    settings say. Exit status 1 where it would be refused.
    """
    settings = load_or_exit(settings_path, secrets)
    rules = _rules(settings)
    account, capabilities = _account(settings, person, names)
    candidate = _candidate()
    judgement = rules.judge(candidate, names=account, capabilities=capabilities)
    found = rules.findings(candidate, names=account, capabilities=capabilities)
    broken = {finding.rule for finding in judgement.broken}
    for finding in found:
        _tell(finding, False if finding.rule in broken else finding.holds)
    click.echo(f"\nscore   {_working(rules.score(candidate))}")
    if judgement.unasked:
        click.echo(f"leaks   could not be looked up: {judgement.unasked}")
    if broken:
        raise click.exceptions.Exit(1)


@command.command("build-breach-list")
@click.argument("source", type=click.Path(path_type=Path, exists=True))
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--passwords", is_flag=True, help="SOURCE holds a password a line instead of digests.")
@click.option(
    "--bytes", "width", type=click.IntRange(2, 5), default=3, show_default=True, help="Kept of each."
)
@click.option("--at-least", type=click.IntRange(1), default=1, show_default=True, help="Seen so many times.")
def build_breach_list(source: Path, target: Path, passwords: bool, width: int, at_least: int) -> None:
    """Make TARGET for `passwords.breaches.source = "list"` from SOURCE.

    SOURCE is a folder of range files (00000 to FFFFF), or a file with a SHA-1 digest on each line. One more
    byte of each digest makes false positives 256 times rarer. Restart the gateway to use the new file.
    """
    from rich.progress import Progress

    from flows.passwords import breach_build

    with Progress() as progress:
        task = progress.add_task("Reading", total=None)
        built = breach_build.build(
            source,
            target,
            passwords=passwords,
            width=width,
            at_least=at_least,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    measured, expected = breach_build.false_positives(target)
    click.echo(f"{built.digests:,} digests became {built.entries:,} entries, {built.size:,} bytes")
    click.echo(f"false positives: {measured:.4%} measured, {expected:.6%} expected; false negatives: none")
    if built.skipped:
        click.echo(f"{built.skipped:,} lines were none of such a list and are left out", err=True)
    if built.missing:
        click.echo(f"{built.missing:,} ranges had no file; what falls there is never found", err=True)


def _rules(settings: "Settings") -> "PasswordRules":
    from flows.passwords.rules import PasswordRules
    from gateway.breached_passwords import open_breaches
    from gateway.settings import SettingsInvalid

    try:
        breaches = open_breaches(settings.passwords.breaches)
    except SettingsInvalid as invalid:
        raise click.ClickException(str(invalid)) from invalid
    return PasswordRules(
        settings.passwords, organisation=settings.messages.mail.organisation, breaches=breaches
    )


def _account(
    settings: "Settings", person: str, names: tuple[str, ...]
) -> "tuple[AccountNames, WriterCapabilities]":
    from flows.passwords.names import account_names
    from gateway.providers import open_provider
    from idp_plugin.base import WriterCapabilities
    from idp_plugin.password_rules import AccountNames

    if not person:
        return AccountNames(others=names), WriterCapabilities()
    provider = open_provider(settings)
    try:
        identity = provider.directory.find(person)
        if identity is None:
            raise click.ClickException("no one person has this name")
        known = account_names(identity)
        account = AccountNames(known.username, known.display_name, (*known.others, *names))
        return account, provider.writer.capabilities(identity.account)
    finally:
        provider.close()


def _candidate() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True))
    return sys.stdin.readline().rstrip("\r\n")


def _tell(finding: "Finding", holds: bool | None) -> None:
    from gateway import password_wording

    click.echo(f"{_MARKS[holds]}  {password_wording.rule(finding)}")
    if finding.rule == "estimate" or (finding.rule == "not_banned" and finding.parameters):
        click.echo(f"        {password_wording.advice(finding)}")


def _working(score: "Score") -> str:
    """Return how the points come about, without the characters of the password that are no term."""
    if score.close_to:
        return f"1 point of {score.needed}: the whole is “{score.close_to}”, or one character away from it"
    parts = [f"[{term}] 1" for term in score.terms]
    if score.others:
        parts.append(f"{score.others} other characters {score.others}")
    return f"{' + '.join(parts) or 'nothing'} = {score.points} of {score.needed} points"
