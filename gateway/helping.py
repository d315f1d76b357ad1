"""What helps people, for commands: opened beside a running gateway, which delivers the messages."""

import contextlib
from collections.abc import Iterator

from enforcement.gate import Gate
from flows.help.assembly import Help
from gateway.breached_passwords import open_breaches
from gateway.messages import channels
from gateway.providers import open_provider
from gateway.recovery import build_recovery
from gateway.services import system_clock
from gateway.settings import Settings
from gateway.stores import open_database, open_vault, redis_beside
from store.counters import Counters
from store.expiring import Expiring
from store.jobs import Jobs


@contextlib.contextmanager
def open_help(settings: Settings) -> Iterator[Help]:
    """Open what a command needs to help somebody.

    Raises:
        StoreUnavailable: The database, or the Redis of the gateway, does not answer.
        SettingsInvalid: No mail can leave.
    """
    with contextlib.ExitStack() as stack:
        database = open_database(settings)
        stack.callback(database.dispose)
        url = redis_beside(settings)
        expiring = Expiring(url, open_vault(settings))
        stack.callback(expiring.close)
        jobs = Jobs(url, expiring.vault)
        stack.callback(jobs.stop)
        provider = open_provider(settings)
        stack.callback(provider.close)
        breaches = open_breaches(settings.passwords.breaches)
        if breaches:
            stack.callback(breaches.close)
        _, helping = build_recovery(
            settings,
            database=database,
            expiring=expiring,
            counters=Counters(expiring),
            jobs=jobs,
            policies=Gate(database).current_policy,
            provider=provider,
            channels=channels(settings, system_clock),
            breaches=breaches,
            clock=system_clock,
        )
        yield helping
