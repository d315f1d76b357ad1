"""`sparekey directory`: asks about a directory; prints what to paste there and here, and how to try it."""

import json
import secrets
from collections.abc import Iterator, Mapping

import click

_IDS = {"ds389": "nsUniqueId"}


@click.command()
@click.option(
    "--kind",
    type=click.Choice(["openldap", "ds389", "active_directory"]),
    prompt="Kind of directory",
    help="Its dialect.",
)
@click.option("--name", prompt="A short word for it, which never changes", help="As `name` in the settings.")
@click.option("--server", "servers", multiple=True, help="`ldaps://host`; several times for several.")
@click.option("--ca", prompt="File of the authority that its certificate is from", help="A PEM file.")
@click.option("--suffix", prompt="Suffix, for example dc=example,dc=org", help="DN above everything.")
@click.option("--people", prompt="Where people are (DN)", help="DN; nobody above it is written to.")
@click.option("--groups", default="", help="Where groups are (DN); not for active_directory.")
@click.option("--account", prompt="The service account (DN; for active_directory its name)", help="To make.")
@click.option("--protected", multiple=True, help="DN of a group whose members are never written to.")
@click.option("--agent", is_flag=True, help="For an agent's host: print its settings, not the gateway's.")
def command(*, kind: str, servers: tuple[str, ...], groups: str, agent: bool, **given: object) -> None:
    """Print the service account, its rights and the settings of one directory; nothing is sent or written."""
    from idp_plugin.ldap.grants.pasted import Unquotable, grants

    servers = servers or (click.prompt("Its server, for example ldaps://ldap1.example.org"),)
    answers = {name: str(value) for name, value in given.items() if isinstance(value, str)}
    if kind != "active_directory":
        answers["groups"] = groups or click.prompt("Where groups are (DN)")
        # Security: nobody chose it, and it is kept nowhere; what was printed before is void.
        answers["password"] = secrets.token_urlsafe(24)
        answers["account_name"] = _first_value(answers["account"])
    places = {name: answers[name] for name in answers.keys() - {"name", "ca", "kind"}}
    try:
        pasted = grants(kind, places)
    except Unquotable as error:
        raise click.ClickException(
            f"{error.name} has letters that must be escaped: follow the page in deploy/ by hand"
        ) from error
    for number, (file, text) in enumerate(pasted.items(), start=1):
        click.echo(f"# --- {number}. {_WHERE[file]}\n\n{text}")
    protected = given["protected"]
    settings = _settings(kind, answers, servers, tuple(protected) if isinstance(protected, tuple) else ())
    section = "[directory]" if agent else "[[directories]]"
    place = "agent.toml" if agent else "sparekey.toml"
    click.echo(f"# --- {len(pasted) + 1}. Into {place}\n\n{section}\n" + "\n".join(settings) + "\n")
    tried = (
        "sparekey agent --test-rights SOMEBODY"
        if agent
        else f"sparekey check --directory {answers['name']} --person SOMEBODY"
    )
    click.echo(f"# --- {len(pasted) + 2}. Try every right live over an ordinary person: {tried}")


_WHERE: Mapping[str, str] = {
    "account.ldif": "The service account, with a password made for it just now: give it to `ldapmodify`, as "
    "an administrator",
    "openldap.conf": "Its rights: into slapd.conf, before other rights; in cn=config each is one olcAccess",
    "ds389.ldif": "Its rights: give it to `ldapmodify`, as the Directory Manager",
    "active_directory.sh": "Account and rights on a Samba domain controller, as root; then "
    "`samba-tool user setpassword`",
    "active_directory.ps1": "Or on Windows, as a domain administrator (not run by us)",
}


def _settings(
    kind: str, answers: Mapping[str, str], servers: tuple[str, ...], protected: tuple[str, ...]
) -> Iterator[str]:
    account = answers["account"]
    values: dict[str, object] = {
        "name": answers["name"],
        "kind": kind,
        "servers": list(servers),
        "ca": answers["ca"],
        "bind_dn": account if kind != "active_directory" else f"{account}@{_realm(answers['suffix'])}",
        "bind_password_file": f"/etc/sparekey/{answers['name']}-password",
        "base": answers["people"],
    }
    if kind in _IDS:
        values["id_attribute"] = _IDS[kind]
    if protected:
        values["protected_groups"] = list(protected)
    # What TOML and JSON write for texts and lists of them is the same.
    yield from (f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    if not protected and kind != "active_directory":
        yield "# protected_groups: name the groups that give power; without any, nobody counts as privileged"


def _first_value(dn: str) -> str:
    return dn.partition(",")[0].partition("=")[2].strip()


def _realm(suffix: str) -> str:
    return ".".join(_first_value(part) for part in suffix.split(","))
