"""`sparekey policy what-if` and `exempt`: ask the policy in force, or one that is tried out."""

import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file

if TYPE_CHECKING:
    from enforcement.policy import Policy, Rule
    from enforcement.what_if import RuleAnswer, Verdict, WhatIf
    from gateway.providers import Provider
    from gateway.settings import Settings
    from idp_plugin.base import Identity
    from store.database import Database

PROTOCOLS = ("oidc", "saml", "cas", "ws_federation", "token", "forward_auth")
_CONDITIONS = {
    "people": "other people",
    "ring": "not in its ring",
    "clients": "another application",
    "networks": "from another network",
    "protocols": "another protocol",
    "times": "another time",
}
_UNKNOWN = {
    "people": "the person",
    "ring": "the person",
    "clients": "the application",
    "networks": "the address",
    "protocols": "the protocol",
    "times": "the time",
}
_REASONS = {
    "not_covered": "nothing is asked",
    "covered": "everything that is asked for is there",
    "postponed": "the person said “later” in this session",
    "maintenance": "the policy's maintenance",
    "unregistered": "nothing is registered",
    "too_few": "too little is registered",
    "stale": "something must be confirmed again",
}

policy_file = click.option(
    "--policy",
    "tried",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Ask this document (TOML) instead of the policy in force.",
)


@click.command("what-if")
@click.argument("identifier")
@click.option("--app", "client_id", default="", help="Client id, entity id or host of the application.")
@click.option("--at", "moment", default="", help="When, like 2027-03-14T08:00+01:00; left out, now.")
@click.option("--from", "address", default="", help="The address that the sign-in comes from.")
@click.option("--protocol", type=click.Choice(PROTOCOLS), default=None, help="How the application is told.")
@click.option("--group", "groups", multiple=True, help="A further group of the person; may be repeated.")
@click.option("--role", "roles", multiple=True, help="A further role of the person; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@policy_file
@settings_file
@secrets_directory
def what_if(
    identifier: str,
    *,
    client_id: str,
    moment: str,
    address: str,
    protocol: str | None,
    groups: tuple[str, ...],
    roles: tuple[str, ...],
    as_json: bool,
    tried: Path | None,
    settings_path: Path,
    secrets: Path | None,
) -> None:
    """Tell what the gate would decide about one sign-in, and what every rule says of it.

    What is left out is unknown, as where the gate does not learn it: then every rule that may be meant has a
    say, and the strictest decides. Groups are the directory's. Nothing is changed.
    """
    from enforcement.explanation import explain
    from enforcement.situation import Situation
    from enforcement.what_if import what_if as told

    when = _moment(moment)
    with _opened(load_or_exit(settings_path, secrets)) as (database, provider):
        identity = provider.directory.find(identifier)
        if identity is None:
            raise click.ClickException("no one person has this name")
        policy, subject = _policy(database, tried), identity.subject
        situation = Situation(
            source=subject.source,
            subject=subject.id,
            groups=identity.groups | set(groups),
            roles=identity.roles | set(roles),
            client_id=client_id,
            protocol=protocol or "",
            address=address,
            at=when,
        )
        read = lambda: database.gate_facts(subject.source, subject.id)  # noqa: E731 - read only if asked for
        found = told(explain(policy, situation, read, session_id=""), situation)
    click.echo(json.dumps(found.document())) if as_json else _tell(found)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For scripts.")
@policy_file
@settings_file
@secrets_directory
def exempt(*, as_json: bool, tried: Path | None, settings_path: Path, secrets: Path | None) -> None:
    """List the rules that exempt people from being interrupted, and whom they name.

    People are the directory's of this moment. A rule before it that names the same person decides first.
    """
    from enforcement.what_if import exempting_rules

    with _opened(load_or_exit(settings_path, secrets)) as (database, provider):
        found = [(rule, _people(provider, rule)) for rule in exempting_rules(_policy(database, tried))]
    if as_json:
        click.echo(json.dumps([_listed(rule, people) for rule, people in found]))
        return
    for rule, people in found:
        _tell_exempt(rule, people)


@contextlib.contextmanager
def _opened(settings: "Settings") -> "Iterator[tuple[Database, Provider]]":
    from gateway.providers import open_provider
    from gateway.stores import open_database

    with contextlib.ExitStack() as stack:
        database, provider = open_database(settings), open_provider(settings)
        stack.callback(database.dispose)
        stack.callback(provider.close)
        yield database, provider


def _policy(database: "Database", tried: Path | None) -> "Policy":
    from enforcement.current_policy import CurrentPolicy, NoPolicy
    from enforcement.policy import PolicyInvalid, load
    from store.errors import StoreUnavailable

    try:
        return load(tried.read_text("utf-8")) if tried else CurrentPolicy(database).get()
    except PolicyInvalid as invalid:
        for where, what in invalid.problems:
            click.echo(f"{where}: {what}", err=True)
        raise click.exceptions.Exit(1) from invalid
    except (NoPolicy, StoreUnavailable) as error:
        raise click.ClickException("no policy is stored here: say --policy, or start the gateway") from error


def _moment(text: str) -> dt.datetime:
    from gateway.services import system_clock

    if not text:
        return system_clock()
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter("is no time like 2027-03-14T08:00+01:00", param_hint="--at") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _tell(found: "WhatIf") -> None:
    click.echo(f"{_said(found.verdict)}  (policy version {found.policy_version}, at {found.at})")
    if found.rule:
        click.echo(f"decided by “{found.rule}”")
    if found.withheld:
        click.echo(f"withheld by maintenance: {_said(found.withheld)}")
    for answer in found.rules:
        click.echo(f"  {answer.part.replace('_', ' '):<12} “{answer.rule}”{_why(answer)}")


def _why(answer: "RuleAnswer") -> str:
    told = [_CONDITIONS[condition] for condition in answer.against]
    told += [f"{_UNKNOWN[condition]} is unknown" for condition in answer.unknown]
    if answer.verdict:
        told.append(_said(answer.verdict))
    return f": {', '.join(dict.fromkeys(told))}" if told else ""


def _said(verdict: "Verdict") -> str:
    said = f"{verdict.decision}, {_REASONS[verdict.reason]}"
    if verdict.more:
        said += f": {verdict.more} more of {', '.join(verdict.missing_kinds) or 'what counts'}"
    elif verdict.stale:
        said += f": {', '.join(verdict.stale)}"
    if verdict.postponements_left:
        until = f" until {verdict.postponable_until}" if verdict.postponable_until else ""
        said += f"; “later” may be said {verdict.postponements_left} times{until}"
    return said


def _only(rule: "Rule") -> dict[str, object]:
    """Return what else the rule is bound to, so that nobody is taken for exempt everywhere."""
    bounds = ("ring", "clients", "networks", "protocols", "times")
    stated = rule.who.model_dump(mode="json", include=set(bounds))
    return {name: value for name, value in stated.items() if value}


def _people(provider: "Provider", rule: "Rule") -> list[str] | None:
    """Return the user names of whom a rule names, sorted; None for everybody."""
    who = rule.who
    if who.everyone:
        return None
    everybody = provider.directory.everyone(() if who.roles or who.subjects else who.groups)
    return sorted(each.username for each in everybody if _is_named(each, rule))


def _is_named(identity: "Identity", rule: "Rule") -> bool:
    from flows.situations import situation_of

    return "people" not in rule.who.fit(situation_of(identity)).against


def _listed(rule: "Rule", people: list[str] | None) -> dict[str, object]:
    return {"rule": rule.name, "only": _only(rule), "may_reset": rule.reset_allowed, "people": people}


def _tell_exempt(rule: "Rule", people: list[str] | None) -> None:
    reset = "may reset their password" if rule.reset_allowed else "may not reset their password"
    click.echo(f"“{rule.name}”: {reset}")
    if only := _only(rule):
        click.echo(f"  only: {json.dumps(only)}")
    names = "everybody whom no rule before it names" if people is None else ", ".join(people)
    click.echo(f"  {names or 'nobody'}")
