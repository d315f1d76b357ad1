"""`sparekey data-plane`: configurations that carry the traffic natively."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file

if TYPE_CHECKING:
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


@click.group()
def command() -> None:
    """Print the configuration of a native data plane that stands in front of the gateway."""


@command.command()
@_edge_options
@click.option("--user", default="www-data", show_default=True, help="Whom the workers run as.")
@click.option("--workers", default="auto", show_default=True, help="How many, or auto.")
@click.option("--directory", "folder", type=directory, help="Keep pid, logs and temporary files all in here.")
def nginx(  # noqa: PLR0917 - one argument per option
    settings_path: Path,
    secrets: Path | None,
    listen: str,
    certificate: Path | None,
    key: Path | None,
    trusted: tuple[str, ...],
    documents: tuple[str, ...],
    user: str,
    workers: str,
    folder: Path | None,
) -> None:
    """Print a whole nginx.conf for Debian's nginx with libnginx-mod-http-lua.

    The gateway needs `gateway.data_plane_socket` and 127.0.0.1 among its `trusted_proxies`.
    """
    from gateway.data_plane.nginx import Edge, Places, configuration

    settings = load_or_exit(settings_path, secrets)
    edge = Edge(
        listen=listen,
        certificate=certificate,
        key=key,
        trusted_proxies=trusted,
        documents=documents,
        user=user,
        workers=workers,
        places=Places(folder, folder, folder) if folder else Places(),
    )
    _print(configuration, settings, edge)


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


def _print(configuration: Callable[..., str], settings: "Settings", edge: "Edge") -> None:
    from gateway.data_plane.nginx import NotPrintableError
    from gateway.data_plane.opening import NotReadyError, recognised
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
