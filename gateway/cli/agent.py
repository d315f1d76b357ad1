"""`sparekey agent`: the writeback agent. Imports nothing of the gateway, so that it works installed alone."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from idp_plugin.writeback.settings import AgentSettings

FILE = click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("/etc/sparekey/agent.toml"),
    envvar="SPAREKEY_AGENT_SETTINGS",
    show_default=True,
    show_envvar=True,
    help="The agent's settings file.",
)


@click.group(invoke_without_command=True)
@FILE
@click.option(
    "--test-rights",
    "name",
    metavar="NAME",
    help="Say which right is missing for one person; nothing is written.",
)
@click.pass_context
def command(context: click.Context, file: Path, name: str | None) -> None:
    """Write passwords to a directory, as the gateway orders and this host allows.

    Dials out only. Run `sparekey agent join` once, then `sparekey agent`.
    """
    context.obj = file
    if context.invoked_subcommand is not None:
        return
    if name:
        _test_rights(file, name)
    else:
        _run(file)


@command.command()
@click.argument("token")
@click.option("--name", default="", help="What the gateway calls this agent; the host's name without it.")
@click.option("--gateway", default="", help="https://sso.example.org/sparekey, where the channel is Redis.")
@click.pass_obj
def join(file: Path, token: str, name: str, gateway: str) -> None:
    """Make keys and join the gateway that made TOKEN (`sparekey agents invite`)."""
    import socket

    from idp_plugin.writeback.channel import ChannelDown
    from idp_plugin.writeback.identity import IdentityFile, only_one
    from idp_plugin.writeback.joining import Invitation, join
    from idp_plugin.writeback.keys import Untrusted
    from idp_plugin.writeback.process import utc_now

    with _problems_told():
        settings = _load(file)
        url = gateway or (settings.channel.url if settings.channel.kind == "https" else "")
        if not url:
            raise click.UsageError("the channel is Redis: say where the gateway is with --gateway")
        try:
            invitation = Invitation.parse(token)
        except Untrusted as error:
            raise click.ClickException("this is no token of `sparekey agents invite`") from error
        try:
            with only_one(settings.state):
                joined = join(
                    IdentityFile(settings.state),
                    invitation,
                    url=url,
                    ca=settings.channel.ca,
                    name=name or socket.gethostname(),
                    directory=settings.directory.name,
                    clock=utc_now,
                )
        except ChannelDown as error:
            raise click.ClickException(f"{url} does not answer, or its certificate is not good") from error
    click.echo(f"joined as {joined.id} for the directory {joined.directory}; start it with `sparekey agent`")


@command.command()
@click.option("--signing", is_flag=True, help="The signing key too; the old one signs its successor.")
@click.pass_obj
def roll(file: Path, *, signing: bool) -> None:
    """Let the running agent make new keys now; the old sealing key is destroyed two minutes later."""
    from idp_plugin.writeback.process import ROLL_FILE

    with _problems_told():
        settings = _load(file)
        (settings.state / ROLL_FILE).write_text("signing" if signing else "sealing", encoding="utf-8")
    click.echo("the agent rolls its keys within a second")


@command.command()
@click.pass_obj
def stop(file: Path) -> None:
    """Pull the kill switch: no order is done until `resume`, whoever orders it, and after a restart too."""
    from idp_plugin.writeback.process import STOP_FILE

    with _problems_told():
        (_load(file).state / STOP_FILE).touch()
    click.echo("stopped: nothing is written until `sparekey agent resume`")


@command.command()
@click.pass_obj
def resume(file: Path) -> None:
    """Release the kill switch."""
    from idp_plugin.writeback.process import STOP_FILE

    with _problems_told():
        (_load(file).state / STOP_FILE).unlink(missing_ok=True)
    click.echo("the agent works on orders again")


def _run(file: Path) -> None:
    from idp_plugin.writeback.process import opened

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with _problems_told(), opened(_load(file)) as process:
        click.echo("working")
        process.run(stop)


def _test_rights(file: Path, name: str) -> None:
    from idp_plugin.ldap.adapters import open_adapter
    from idp_plugin.writeback.process import SOURCE
    from idp_plugin.writeback.rights import Verdict, report

    bad = False
    with _problems_told():
        settings = _load(file)
        for step in report(
            settings.directory, settings.subtrees, name, lambda changed: open_adapter(changed, SOURCE)
        ):
            click.echo(f"{step.verdict.value:<8} {step.what}")
            bad = bad or step.verdict is Verdict.PROBLEM
    if bad:
        raise click.exceptions.Exit(1)


def _load(file: Path) -> "AgentSettings":
    from idp_plugin.writeback.settings import load

    return load(file)


@contextlib.contextmanager
def _problems_told() -> Iterator[None]:
    from idp_plugin.errors import IdpMisconfigured

    try:
        yield
    except IdpMisconfigured as error:
        raise click.ClickException(error.what) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error
