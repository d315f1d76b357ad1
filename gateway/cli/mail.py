"""`sparekey mail bounced`: what comes back to the address for it."""

import sys
from pathlib import Path

import click

from gateway.cli.options import load_or_exit, secrets_directory, settings_file

_TRY_AGAIN = 75
"""What mail servers understand: EX_TEMPFAIL of sysexits.h."""


@click.group()
def command() -> None:
    """Take what mail servers tell later."""


@command.command()
@click.argument("recipient")
@settings_file
@secrets_directory
def bounced(recipient: str, settings_path: Path, secrets: Path | None) -> None:
    """Read one message from the standard input that came back to RECIPIENT.

    For a mail server's pipe, run as the gateway's own user; RECIPIENT is the address that the message was
    delivered to. If it reports that a code could not be delivered, its person is asked at the next sign-in
    whether what is registered still is right. Anything else is passed over in silence.

    Exit status: 0 done; 75 where the database or Redis does not answer, and the server should try again.
    """
    from flows.messaging.bounces import LARGEST, PROVIDER, is_final, token_in
    from flows.messaging.message import Handed
    from flows.messaging.receipts import DeliveryState, Receipts
    from gateway.services import system_clock
    from gateway.stores import open_database, open_vault, redis_beside
    from store.errors import StoreUnavailable
    from store.expiring import Expiring

    settings = load_or_exit(settings_path, secrets)
    token = token_in(settings.messages.mail.bounces, recipient)
    if not token or not is_final(sys.stdin.buffer.read(LARGEST)):
        return
    database = open_database(settings)
    try:
        expiring = Expiring(redis_beside(settings), open_vault(settings))
        receipts = Receipts(database=database, expiring=expiring, clock=system_clock)
        receipts.came(Handed(PROVIDER, token), DeliveryState.FAILED)
        expiring.close()
    except StoreUnavailable as error:
        click.echo("the database or Redis does not answer; nothing was changed", err=True)
        raise click.exceptions.Exit(_TRY_AGAIN) from error
    finally:
        database.dispose()
