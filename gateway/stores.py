"""The key ring and the database that the settings name."""

import base64
import binascii

from gateway.settings import Settings, SettingsInvalid
from store.database import Database
from store.valkey import running_in
from store.vault import Vault


def open_vault(settings: Settings) -> Vault:
    """Return the key ring.

    Raises:
        SettingsInvalid: A key is not Base64.
    """
    try:
        keys = [base64.b64decode(key.get_secret_value(), validate=True) for key in settings.vault.keys]
    except binascii.Error as error:
        raise SettingsInvalid([("vault.keys", "every key is 32 bytes in Base64")]) from error
    return Vault(keys)


def open_database(settings: Settings) -> Database:
    """Return the database; nothing is opened yet."""
    return Database(settings.database.url, open_vault(settings))


def redis_beside(settings: Settings) -> str:
    """Return the address of the Redis or Valkey that a running gateway uses.

    An embedded one that does not run has an address that nobody answers at.
    """
    if settings.redis.url != "embedded":
        return settings.redis.url
    return running_in(settings.redis.directory) or f"unix://{settings.redis.directory / 'valkey.sock'}"


def beside_gateway(settings: Settings) -> Settings:
    """Return settings with the Redis or Valkey of a running gateway, for another process beside it."""
    redis = settings.redis.model_copy(update={"url": redis_beside(settings)})
    return settings.model_copy(update={"redis": redis})
