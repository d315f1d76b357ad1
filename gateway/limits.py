"""Limits, for commands: opened beside a running gateway, on the Valkey that it uses."""

import contextlib
import datetime as dt
from collections.abc import Iterable

from flows.abuse.known_device import KnownDevices
from flows.abuse.throttle import Throttle
from flows.help.clearing import Clearing
from gateway.services import system_clock
from gateway.settings import Settings
from gateway.stores import open_database, open_vault
from idp_plugin.base import Directory, Identity
from store.counters import Counters
from store.expiring import Expiring
from store.valkey import EmbeddedValkey, running_in


def clear_limits_of(
    settings: Settings, directory: Directory, identity: Identity, *, also: Iterable[str], author: str
) -> bool:
    """Give one person fresh limits; returns and raises as `Clearing.clear`, and `StoreUnavailable`."""
    with contextlib.ExitStack() as stack:
        database = open_database(settings)
        stack.callback(database.dispose)
        expiring = Expiring(_address(settings, stack), open_vault(settings))
        stack.callback(expiring.close)
        devices = KnownDevices(
            database=database,
            expiring=expiring,
            directory=directory,
            lives=dt.timedelta(days=settings.limits.known_device_days),
        )
        clearing = Clearing(
            database=database,
            vault=expiring.vault,
            throttle=Throttle(Counters(expiring), settings.limits),
            devices=devices,
        )
        return clearing.clear(identity, also=also, author=author, now=system_clock())


def _address(settings: Settings, stack: contextlib.ExitStack) -> str:
    redis = settings.redis
    if redis.url != "embedded":
        return redis.url
    if running := running_in(redis.directory):
        return running
    valkey = EmbeddedValkey(redis.directory)
    stack.callback(valkey.stop)
    return valkey.start()
