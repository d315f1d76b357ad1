"""`sparekey data-plane`: configurations that carry the traffic natively."""

from pathlib import Path

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file

file = click.Path(path_type=Path, dir_okay=False)
directory = click.Path(path_type=Path, file_okay=False)


@click.group()
def command() -> None:
    """Print the configuration of a native data plane that stands in front of the gateway."""


@command.command()
@settings_file
@secrets_directory
@click.option("--listen", default="443", show_default=True, help="Port, or address and port.")
@click.option("--certificate", type=file, help="PEM file with the chain.")
@click.option("--key", type=file, help="PEM file with the private key.")
@click.option(
    "--trusted-proxy", "trusted", multiple=True, metavar="NETWORK", help="Its X-Forwarded-For is believed."
)
@click.option(
    "--documents",
    multiple=True,
    metavar="PATH/",
    help="Below it everything is public, and asked for without cookies. Keycloak: /resources/ unless given.",
)
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
    from gateway.data_plane.nginx import Edge, NotPrintableError, Places, configuration
    from gateway.data_plane.opening import NotReadyError, recognised
    from gateway.stores import open_vault
    from idp_plugin.errors import IdpError

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
    try:
        recogniser = recognised(settings, edge)
        click.echo(configuration(settings, edge, recogniser=recogniser, vault=open_vault(settings)), nl=False)
    except NotReadyError as error:
        raise click.ClickException(str(error)) from error
    except NotPrintableError as error:
        raise click.ClickException(f"cannot stand in a configuration: {error}") from error
    except IdpError as error:
        raise click.ClickException(f"identity provider: {error}") from error


@command.command()
@settings_file
@secrets_directory
@click.option("--listen", default="443", show_default=True, help="Port, or address and port.")
@click.option("--certificate", type=file, help="PEM file with the chain.")
@click.option("--key", type=file, help="PEM file with the private key.")
@click.option(
    "--trusted-proxy", "trusted", multiple=True, metavar="NETWORK", help="Its X-Forwarded-For is believed."
)
@click.option(
    "--documents",
    multiple=True,
    metavar="PATH/",
    help="Below it everything is public, and asked for without cookies. Keycloak: /resources/ unless given.",
)
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
    from gateway.data_plane.nginx import Edge, NotPrintableError, Places
    from gateway.data_plane.opening import NotReadyError, recognised
    from gateway.stores import open_vault
    from idp_plugin.errors import IdpError

    settings = load_or_exit(settings_path, secrets)
    edge = Edge(
        listen=listen,
        certificate=certificate,
        key=key,
        trusted_proxies=trusted,
        documents=documents,
        places=Places(log=log),
    )
    try:
        recogniser = recognised(settings, edge)
        click.echo(configuration(settings, edge, recogniser=recogniser, vault=open_vault(settings)), nl=False)
    except NotReadyError as error:
        raise click.ClickException(str(error)) from error
    except NotPrintableError as error:
        raise click.ClickException(f"cannot stand in a configuration: {error}") from error
    except IdpError as error:
        raise click.ClickException(f"identity provider: {error}") from error
