"""`sparekey check`: every configuration problem at once."""

import json
import smtplib
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file
from gateway.settings import Settings


@click.command()
@settings_file
@secrets_directory
@click.option(
    "--network", is_flag=True, help="Try each peer: identity provider, directories, mail, databases."
)
@click.option(
    "--person",
    default="",
    metavar="NAME",
    help="With --network or --directory: say which right is missing over this person; nothing is written.",
)
@click.option(
    "--directory",
    default="",
    metavar="NAME",
    help="Try this directory alone, step by step: servers, then with --person each right, and what to grant.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="For scripts: a list of objects `part`, `ok`, `problem`; ways round the gate have a `note`.",
)
def command(
    settings_path: Path,
    secrets: Path | None,
    *,
    network: bool,
    person: str,
    directory: str,
    as_json: bool,
) -> None:
    """Tell every problem of the settings and the policy; with --network, of the peers too."""
    settings = load_or_exit(settings_path, secrets)
    results = list(_directory(settings, person, directory)) if directory else list(_documents(settings))
    if network and not directory:
        results += list(_peers(settings, person))
    notes = [*_openings(settings), *(_ways_round(settings) if network else ())]
    for part, problem in results if not as_json else ():
        click.echo(f"{'ok     ' if not problem else 'PROBLEM'}  {part}{f': {problem}' if problem else ''}")
    for part, note in notes if not as_json else ():
        click.echo(f"note     {part}: {note}")
    if as_json:
        told = [{"part": p, "ok": not problem, "problem": problem} for p, problem in results]
        told += [{"part": part, "ok": True, "problem": "", "note": note} for part, note in notes]
        click.echo(json.dumps(told))
    if any(problem for _, problem in results):
        raise click.exceptions.Exit(1)


def _directory(settings: Settings, person: str, name: str) -> Iterator[tuple[str, str]]:
    from gateway.directory_checks import directories

    yield from directories(settings, person, name)


def _documents(settings: Settings) -> Iterator[tuple[str, str]]:
    from enforcement.policy import PolicyInvalid, load
    from gateway.settings import SettingsInvalid
    from gateway.stores import open_vault
    from store.errors import StoreMisconfigured

    yield "settings", ""
    try:
        load(settings.policies.file.read_text("utf-8"))
    except OSError as error:
        yield "policies.file", error.strerror or "cannot be read"
    except PolicyInvalid as invalid:
        yield from ((f"policies.file {where}", what) for where, what in invalid.problems)
    else:
        yield "policies.file", ""
        yield from _channels(settings)
        yield from _identities(settings)
    try:
        open_vault(settings)
    except SettingsInvalid as invalid:
        yield from invalid.problems
    except StoreMisconfigured:
        yield "vault.keys", "every key is 32 bytes in Base64, and each is listed once"
    else:
        yield "vault.keys", ""
    yield from _leaked_passwords(settings)


def _identities(settings: Settings) -> Iterator[tuple[str, str]]:
    from enforcement.policy import load
    from gateway.identity_signin import require_identities
    from gateway.settings import SettingsInvalid

    try:
        require_identities(load(settings.policies.file.read_text("utf-8")), settings)
    except SettingsInvalid as invalid:
        yield from invalid.problems


def _channels(settings: Settings) -> Iterator[tuple[str, str]]:
    from enforcement.policy import load
    from gateway.messages import channels, require_channels
    from gateway.services import system_clock
    from gateway.settings import SettingsInvalid

    policy = load(settings.policies.file.read_text("utf-8"))
    try:
        require_channels(policy, channels(settings, system_clock))
    except SettingsInvalid as invalid:
        yield from invalid.problems
    else:
        yield "messages", ""


def _leaked_passwords(settings: Settings) -> Iterator[tuple[str, str]]:
    from gateway.breached_passwords import open_breaches
    from gateway.settings import SettingsInvalid

    try:
        breaches = open_breaches(settings.passwords.breaches)
    except SettingsInvalid as invalid:
        yield from invalid.problems
        return
    if breaches:
        breaches.close()
        yield "passwords.breaches", ""


def _peers(settings: Settings, person: str) -> Iterator[tuple[str, str]]:
    from gateway.directory_checks import directories
    from gateway.interception.assembly import redirect_uri
    from gateway.providers import open_provider
    from gateway.stores import open_database, open_vault
    from idp_plugin.base import SelfChecking
    from idp_plugin.silent_check import SilentCheck
    from store.expiring import Expiring

    provider = open_provider(settings)
    check = SilentCheck(provider.oidc, redirect_uri=redirect_uri(settings.gateway))
    yield "identity provider", _problem(check.self_check)
    # A name that nobody has: what counts is that the question is understood.
    yield "people", _problem(lambda: provider.directory.find("sparekey-check-nobody"))
    if isinstance(provider.sessions, SelfChecking):
        yield "sessions", _problem(provider.sessions.self_check)
    provider.close()
    yield from directories(settings, person)
    database = open_database(settings)
    yield "database", _problem(database.ping)
    database.dispose()
    if settings.redis.url != "embedded":
        yield "redis", _problem(lambda: Expiring(settings.redis.url, open_vault(settings)).close())
    if settings.messages.mail.host:
        yield "mail", _problem(lambda: _greet(settings))
    if settings.messages.sms.smpp:
        yield "text messages", _problem(lambda: _bind(settings))
    if settings.passwords.breaches.source != "none":
        yield "leaked passwords", _problem(lambda: _look_up(settings))


def _ways_round(settings: Settings) -> Iterator[tuple[str, str]]:
    from gateway.back_doors import back_doors

    yield from back_doors(settings)


def _openings(settings: Settings) -> Iterator[tuple[str, str]]:
    from enforcement.policy import PolicyInvalid, load

    try:
        policy = load(settings.policies.file.read_text("utf-8"))
    except (OSError, PolicyInvalid):
        return
    for power in (*settings.roles.opened, *settings.opened_in_directories):
        by = "by settings and policy file: open" if policy.opens(power) else "by the settings alone: closed"
        yield "opened power", f"{power}, {by}"


def _problem(probe: Callable[[], object]) -> str:
    """Return what is wrong in one line, or the empty string."""
    try:
        probe()
    except Exception as error:  # noqa: BLE001 - each peer fails in its own words
        return f"{type(error).__name__}: {error}"
    return ""


def _look_up(settings: Settings) -> None:
    from gateway.breached_passwords import open_breaches

    breaches = open_breaches(settings.passwords.breaches)
    if breaches:
        # Nobody's own: what counts is that the question is answered.
        breaches.have("password")
        breaches.close()


def _bind(settings: Settings) -> None:
    from flows.messaging.smpp_link import SmppLink

    if settings.messages.sms.smpp:
        SmppLink.opened(settings.messages.sms.smpp).close()


def _greet(settings: Settings) -> None:
    mail = settings.messages.mail
    kind = smtplib.SMTP_SSL if mail.tls == "implicit" else smtplib.SMTP
    with kind(mail.host, mail.port, timeout=mail.seconds) as smtp:
        smtp.noop()
