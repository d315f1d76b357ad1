"""The root of the settings: `sparekey.toml`, then a secrets directory, then `SPAREKEY_SECTION__NAME`."""

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from enforcement.settings import PoliciesSettings
from flows.settings import LimitSettings, MessagesSettings
from idp_plugin.settings import DirectorySettings, IdpSettings
from store.settings import DatabaseSettings, RedisSettings, Section, VaultSettings


class TimeoutSettings(Section):
    """How long the plane waits, in seconds."""

    head: float = Field(default=15, gt=0)
    """For a complete request head."""
    body: float = Field(default=60, gt=0)
    """For the next bytes of a request body; of a request to Sparekey's own pages, for the whole body."""
    idle: float = Field(default=75, gt=0)
    """For the next request on an open connection."""
    connect: float = Field(default=5, gt=0)
    """For a connection to the identity provider."""
    upstream: float = Field(default=60, gt=0)
    """For the next bytes of the identity provider's answer."""
    stop: float = Field(default=20, gt=0)
    """For requests in flight when the gateway is told to stop."""


class LimitsSettings(Section):
    """How much the plane takes."""

    head_bytes: int = Field(default=32_768, ge=1024)
    """Request line and header fields together."""
    header_fields: int = Field(default=100, ge=10)
    """Number of header fields."""
    local_body_bytes: int = Field(default=64 << 10, ge=1024)
    """Body of a request to Sparekey's own pages."""
    proxied_body_bytes: int = Field(default=64 << 20, ge=1024)
    """Body of a request to the identity provider."""
    page_bytes: int = Field(default=1 << 20, ge=1024)
    """Pages up to this size are read whole, so that a link can be put in or a sign-in recognised."""
    connections: int = Field(default=10_000, ge=1)
    """Open connections from clients, on each listening address; more are closed at once."""


class TlsSettings(Section):
    """The gateway's own certificate."""

    certificate: Path
    """PEM file with the chain."""
    key: Path
    """PEM file with the private key."""


class GatewaySettings(Section):
    """How the gateway is reached, and by whom."""

    public: str
    """The public origin, for example `https://sso.example.org`. `http` is refused unless the host is
    loopback."""
    listen: str = "127.0.0.1:8080"
    """Address and port of the plane."""
    operations: str = "127.0.0.1:9090"
    """Address and port of health and metrics; never make it public. Empty turns it off."""
    prefix: str = "/sparekey"
    """The path under which Sparekey's own pages live; everything else is the identity provider's."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose `Forwarded` and `X-Forwarded-*` are believed. Nobody by default."""
    tls: TlsSettings | None = None
    """Serve HTTPS ourselves."""
    threads: int = Field(default=4, ge=1, le=256)
    """Threads for Sparekey's own pages and decisions."""
    timeouts: TimeoutSettings = TimeoutSettings()
    """Waiting."""
    limits: LimitsSettings = LimitsSettings()
    """Sizes."""
    return_to: tuple[str, ...] = ()
    """Origins of relying parties to which a person may be sent back, besides the public origin."""

    @field_validator("public")
    @classmethod
    def _origin(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError("must be an origin such as https://sso.example.org")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError("must be https: plain http is allowed on loopback only")
        return value.rstrip("/")

    @field_validator("prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        if not value.startswith("/") or value.endswith("/") or "//" in value:
            raise ValueError("must start with one slash and end without")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network, strict=False)
        return value

    @property
    def is_https(self) -> bool:
        """Whether people reach the gateway by HTTPS."""
        return self.public.startswith("https:")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class RolesSettings(Section):
    """Which groups or roles of the identity provider give which role here.

    Whoever is in one of them is privileged: their password is never written through Sparekey (S18).
    """

    administrator: tuple[str, ...] = ()
    """May change policies and people's recovery data."""
    helpdesk: tuple[str, ...] = ()
    """May help one person at a time."""


class DemoSettings(Section):
    """Only `sparekey demo` sets these."""

    outbox: Path | None = None
    """Folder where sent messages are shown from; adds the outbox page."""


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix="SPAREKEY_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    gateway: GatewaySettings
    """How the gateway is reached."""
    idp: IdpSettings
    """The identity provider."""
    directories: tuple[DirectorySettings, ...] = ()
    """The directories."""
    database: DatabaseSettings = DatabaseSettings()
    """What lasts."""
    redis: RedisSettings = RedisSettings()
    """What expires."""
    messages: MessagesSettings = MessagesSettings()
    """What is sent to people."""
    limits: LimitSettings = LimitSettings()
    """How often."""
    vault: VaultSettings
    """The key ring."""
    policies: PoliciesSettings
    """The rules."""
    roles: RolesSettings = RolesSettings()
    """Who may do what."""
    demo: DemoSettings = DemoSettings()
    """The embedded demo."""

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        names = [directory.name for directory in self.directories]
        if len(set(names)) != len(names):
            raise ValueError("directories: two have the same name")
        if not self.directories:
            raise ValueError("directories: at least one is needed, where passwords are written")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the secrets directory, then the file."""
        del settings_cls, dotenv_settings
        secrets = NestedSecretsSettingsSource(
            file_secret_settings, env_prefix="", secrets_nested_delimiter="__"
        )
        return env_settings, secrets, init_settings


class SettingsInvalid(Exception):
    """Every problem at once; each a pair of setting and what is wrong with it."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {what}" for where, what in problems))
        self.problems = problems


def load(file: Path, secrets: Path | None = None) -> Settings:
    """Read the settings file, the secrets directory and the environment.

    Raises:
        SettingsInvalid: With every problem.
    """
    try:
        document: Mapping[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsInvalid([(str(file), error.strerror or "cannot be read")]) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsInvalid([(str(file), str(error))]) from error
    return from_mapping(document, secrets)


def from_mapping(document: Mapping[str, Any], secrets: Path | None = None) -> Settings:
    """Build settings from a document already read; same sources and errors as `load`."""
    try:
        # The argument is pydantic-settings' own; mypy sees only the fields.
        return Settings(_secrets_dir=secrets, **document)  # type: ignore[call-arg]
    except ValidationError as error:
        raise SettingsInvalid(
            [(".".join(str(part) for part in e["loc"]) or "settings", e["msg"]) for e in error.errors()]
        ) from error
