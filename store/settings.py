"""Settings of the databases and the key ring."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr


class Section(BaseModel):
    """A settings section: unknown keys are refused, attribute docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class DatabaseSettings(Section):
    """What lasts."""

    url: str = "sqlite:////var/lib/sparekey/sparekey.db"
    """SQLAlchemy address: `sqlite:////path/file.db`, or
    `postgresql+psycopg://user@host/database` with the `postgres` extra installed."""


class RedisSettings(Section):
    """What expires."""

    url: str = "embedded"
    """`embedded` starts the Valkey that came with the installation, on a unix socket in `directory`;
    otherwise `redis://host:6379/0`, `rediss://…` or `unix:///path`."""
    directory: Path = Path("/var/lib/sparekey/valkey")
    """Where the embedded one keeps its socket and append-only file; made with mode 0700."""
    agents_url: str = ""
    """A Redis or Valkey of their own for writeback agents that connect to one; the gateway's when empty. An
    agent in the wrong hands can fill the one that it reaches: give it this one, with a `maxmemory`."""


class VaultSettings(Section):
    """The key ring: every value at rest is sealed with its first key and opened with any of them."""

    keys: tuple[SecretStr, ...]
    """32 random bytes each, base64; make one with `sparekey keys new`. To rotate, put a new key first,
    restart, run `sparekey keys rotate`, then remove the old one."""
