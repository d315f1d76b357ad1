"""`sparekey`: the list of commands."""

import importlib
import sys

import click

COMMANDS = {
    "serve": "gateway.cli.serve",
    "worker": "gateway.cli.worker",
    "agent": "gateway.cli.agent",
    "agents": "gateway.cli.agents",
    "demo": "gateway.cli.demo",
    "check": "gateway.cli.check",
    "directory": "gateway.cli.directory_setup",
    "people": "gateway.cli.people",
    "mail": "gateway.cli.mail",
    "policy": "gateway.cli.policy",
    "database": "gateway.cli.database",
    "keys": "gateway.cli.keys",
    "data-plane": "gateway.cli.native_plane",
    "passwords": "gateway.cli.passwords",
}
"""Name and module; each module holds a click command called `command`."""


class LazyGroup(click.Group):
    """Imports a command only when it is asked for: `sparekey --help` stays instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        except ModuleNotFoundError as missing:
            return _not_installed(cmd_name, missing)
        return command


def _not_installed(name: str, missing: ModuleNotFoundError) -> click.Command:
    """Return a command that says what is missing: an agent's host has the agent alone."""

    @click.command(
        name,
        help="Not installed here: needs sparekey[gateway].",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def command() -> None:
        raise click.ClickException(f"{missing.name} is missing: install sparekey[gateway]")

    return command


@click.command(cls=LazyGroup)
@click.version_option(package_name="sparekey")
def main() -> None:
    """Make sure that people can get back in.

    Exit status: 0 done, 1 refused or failed, 2 wrong usage.
    """


if __name__ == "__main__":
    sys.exit(main())
