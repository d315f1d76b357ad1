"""Opens the directories behind agents from the settings, in a gateway or beside a running one."""

from gateway.agents.writeback import Writeback
from gateway.services import Clock, system_clock
from gateway.settings import Settings
from gateway.stores import open_database, open_vault, redis_beside
from store.database import Database


def open_writeback(
    settings: Settings,
    *,
    database: Database | None = None,
    url: str = "",
    clock: Clock = system_clock,
) -> Writeback:
    """Return the directories behind agents; nothing is asked yet.

    Args:
        settings: All of them.
        database: The open one, in a gateway.
        url: Of the open Redis or Valkey, in a gateway.
        clock: Aware UTC.
    """
    return Writeback(
        tuple(directory.name for directory in settings.directories if directory.agent),
        database=database or open_database(settings),
        url=settings.redis.agents_url or url or redis_beside(settings),
        vault=open_vault(settings),
        clock=clock,
    )
