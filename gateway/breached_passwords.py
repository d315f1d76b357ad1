"""Where leaked passwords are looked up, as the settings say."""

from flows.passwords.breach_files import BreachList, RangeFiles
from flows.passwords.breach_range import RangeService
from flows.passwords.breaches import Breaches, BreachesUnavailable
from flows.passwords.settings import BreachSettings
from gateway.settings import SettingsInvalid


def open_breaches(settings: BreachSettings) -> Breaches | None:
    """Return the source that is set, or None.

    Raises:
        SettingsInvalid: Its files cannot be read.
    """
    if settings.source == "api":
        return RangeService(
            settings.api, seconds=settings.seconds, at_least=settings.at_least, proxy=settings.proxy
        )
    if settings.source == "none" or settings.path is None:
        return None
    if settings.source == "ranges":
        if not settings.path.is_dir():
            raise SettingsInvalid([("passwords.breaches.path", "is not a folder")])
        return RangeFiles(settings.path, at_least=settings.at_least)
    try:
        return BreachList(settings.path)
    except BreachesUnavailable as error:
        raise SettingsInvalid([("passwords.breaches.path", error.why)]) from error
