"""Settings of the agent: a file of its own on the agent's host, `agent.toml`."""

import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.settings import DirectorySettings, Section


class WriteLimits(Section):
    """How much this agent writes, whatever its gateway asks for."""

    per_minute: int = Field(default=60, ge=1)
    """Writes in any minute."""
    per_day: int = Field(default=2000, ge=1)
    """Writes in any 24 hours."""
    per_person_and_day: int = Field(default=10, ge=1)
    """Writes to one account in any 24 hours."""


class ChannelSettings(Section):
    """How the agent reaches its gateway; it only dials out."""

    kind: Literal["https", "redis"] = "https"
    """`https` asks the gateway itself; `redis` the Redis or Valkey that the gateway uses."""
    url: str
    """`https://sso.example.org/sparekey`, or `rediss://agent-1:password@redis.example.org:6379`."""
    ca: Path | None = None
    """CA file; the system's authorities when empty."""
    url_file: Path | None = None
    """A file that holds `url` alone, where it contains a password."""

    @model_validator(mode="before")
    @classmethod
    def _read_url(cls, given: object) -> object:
        if not isinstance(given, dict) or not given.get("url_file"):
            return given
        try:
            url = Path(given["url_file"]).read_text("utf-8").strip()
        except OSError as error:
            raise ValueError(f"url_file: {error.strerror}") from error
        return {**given, "url": url}

    @model_validator(mode="after")
    def _is_private(self) -> "ChannelSettings":
        parts = urlsplit(self.url)
        schemes = {"https": {"https"}, "redis": {"rediss", "unix"}}[self.kind]
        plain = {"https": "http", "redis": "redis"}[self.kind]
        # Security: without TLS only where nobody is in between.
        if parts.scheme == plain and parts.hostname in {"127.0.0.1", "::1", "localhost"}:
            return self
        if parts.scheme not in schemes:
            raise ValueError(f"channel.url must begin with {' or '.join(sorted(schemes))}://")
        return self


class CanarySettings(Section):
    """A test account whose password the agent resets on schedule, so that "writeback works" is a fact."""

    name: str = ""
    """Its user name; empty for no canary."""
    minutes: int = Field(default=60, ge=1, le=1440)
    """How often."""


class AgentSettings(Section):
    """All settings of one agent."""

    state: Path = Path("/var/lib/sparekey-agent")
    """Keys, replay list and log of this agent; for its user only."""
    channel: ChannelSettings
    """The way to the gateway."""
    directory: DirectorySettings
    """The directory that it writes to; `name` is the directory's name at the gateway."""
    subtrees: tuple[str, ...] = ()
    """Only people below one of these are found or written to; `directory.base` when empty."""
    limits: WriteLimits = WriteLimits()
    """How much it writes."""
    threads: int = Field(default=4, ge=1, le=64)
    """How many orders it works on at once."""
    canary: CanarySettings = CanarySettings()
    """A test of the whole way to the directory."""
    roll_days: int = Field(default=30, ge=1, le=366)
    """How long a sealing key is used."""

    @field_validator("subtrees")
    @classmethod
    def _not_blank(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(each.strip() for each in value):
            raise ValueError("an empty subtree would be everything")
        return value


def load(file: Path) -> AgentSettings:
    """Read an agent's settings file.

    Raises:
        IdpMisconfigured: It cannot be read, or something in it is wrong; every problem at once.
    """
    try:
        return AgentSettings.model_validate(tomllib.loads(file.read_text("utf-8")))
    except OSError as error:
        raise IdpMisconfigured(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise IdpMisconfigured(f"{file}: {error}") from error
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise IdpMisconfigured("; ".join(problems)) from error
