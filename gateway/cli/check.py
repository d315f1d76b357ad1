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
    "--json", "as_json", is_flag=True, help="For scripts: a list of objects `part`, `ok`, `problem`."
)
def command(settings_path: Path, secrets: Path | None, *, network: bool, as_json: bool) -> None:
    """Tell every problem of the settings and the policy; with --network, of the peers too."""
    settings = load_or_exit(settings_path, secrets)
    results = list(_documents(settings))
    if network:
        results += list(_peers(settings))
    for part, problem in results if not as_json else ():
        click.echo(f"{'ok     ' if not problem else 'PROBLEM'}  {part}{f': {problem}' if problem else ''}")
    if as_json:
        click.echo(json.dumps([{"part": p, "ok": not problem, "problem": problem} for p, problem in results]))
    if any(problem for _, problem in results):
        raise click.exceptions.Exit(1)


def _documents(settings: Settings) -> Iterator[tuple[str, str]]:
    from enforcement.policy import PolicyInvalid, load
    from gateway.app import open_vault
    from gateway.settings import SettingsInvalid
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
    try:
        open_vault(settings)
    except SettingsInvalid as invalid:
        yield from invalid.problems
    except StoreMisconfigured:
        yield "vault.keys", "every key is 32 bytes in Base64, and each is listed once"
    else:
        yield "vault.keys", ""


def _peers(settings: Settings) -> Iterator[tuple[str, str]]:
    from gateway.app import open_database, open_vault
    from gateway.plane.assembly import redirect_uri
    from gateway.providers import open_provider
    from idp_plugin.silent_check import SilentCheck
    from store.expiring import Expiring

    provider = open_provider(settings)
    check = SilentCheck(provider.oidc, redirect_uri=redirect_uri(settings.gateway))
    yield "identity provider", _problem(check.self_check)
    # A name that nobody has: what counts is that the question is understood.
    yield "people", _problem(lambda: provider.directory.find("sparekey-check-nobody"))
    provider.close()
    database = open_database(settings)
    yield "database", _problem(database.ping)
    database.dispose()
    if settings.redis.url != "embedded":
        yield "redis", _problem(lambda: Expiring(settings.redis.url, open_vault(settings)).close())
    if settings.messages.mail.host:
        yield "mail", _problem(lambda: _greet(settings))


def _problem(probe: Callable[[], object]) -> str:
    """Return what is wrong in one line, or the empty string."""
    try:
        probe()
    except Exception as error:  # noqa: BLE001 - each peer fails in its own words
        return f"{type(error).__name__}: {error}"
    return ""


def _greet(settings: Settings) -> None:
    mail = settings.messages.mail
    kind = smtplib.SMTP_SSL if mail.tls == "implicit" else smtplib.SMTP
    with kind(mail.host, mail.port, timeout=mail.seconds) as smtp:
        smtp.noop()
