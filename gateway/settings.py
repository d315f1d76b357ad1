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
from flows.passwords.settings import PasswordsSettings
from flows.settings import ContactSettings, LimitSettings, MessagesSettings, QuestionSettings
from gateway.forward_auth.settings import ForwardAuthSettings
from idp_plugin.settings import DirectorySettings, IdpSettings, LinkedProviderSettings, TargetSettings
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
    agent_threads: int = Field(default=32, ge=4, le=1024)
    """Threads for writeback agents that call over HTTPS; at most half of them wait for orders."""
    timeouts: TimeoutSettings = TimeoutSettings()
    """Waiting."""
    limits: LimitsSettings = LimitsSettings()
    """Sizes."""
    return_to: tuple[str, ...] = ()
    """Origins of relying parties to which a person may be sent back, besides the public origin."""
    data_plane_socket: Path | None = None
    """Unix socket for a native data plane in front (`sparekey data-plane`), in a directory that only the two
    can enter. Without it there is none, and nothing is claimed for one."""

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

    Whoever is in one of them is privileged: their password is not written through Sparekey (S18), unless
    every power that they have is opened.
    """

    administrator: tuple[str, ...] = ()
    """May change policies and people's recovery data."""
    user_administrator: tuple[str, ...] = ()
    """May change people's recovery data, and is asked for help where there is no helpdesk."""
    helpdesk: tuple[str, ...] = ()
    """May help one person at a time."""
    opened: tuple[str, ...] = ()
    """Those of these groups and roles whose people may recover their own password after all, by the stronger
    rule that is fixed for them: two proofs at least, no security questions, nothing handed out. The policy
    has to name them too (`opened`), which takes a second person. Groups of a directory are opened where they
    are named."""


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
    forward_auth: ForwardAuthSettings = ForwardAuthSettings()
    """Applications behind a proxy that asks us who is signed in."""
    directories: tuple[DirectorySettings, ...] = ()
    """The directories."""
    targets: tuple[TargetSettings, ...] = ()
    """Where a new password is written, in this order, where that is more than the first directory."""
    database: DatabaseSettings = DatabaseSettings()
    """What lasts."""
    redis: RedisSettings = RedisSettings()
    """What expires."""
    messages: MessagesSettings = MessagesSettings()
    """What is sent to people."""
    contact: ContactSettings = ContactSettings()
    """Who helps."""
    identities: tuple[LinkedProviderSettings, ...] = ()
    """Further OpenID providers at which people may prove who they are."""
    questions: QuestionSettings = QuestionSettings()
    """Security questions: off unless a rule lists `security_questions`, never the first proof and never the
    only one. Others know or find the answers: OWASP ASVS 5.0 (6.4.2) and NIST SP 800-63B-4 (3.1.1.2) both say
    not to use them."""
    limits: LimitSettings = LimitSettings()
    """How often."""
    passwords: PasswordsSettings = PasswordsSettings()
    """What a new password must be."""
    vault: VaultSettings
    """The key ring."""
    policies: PoliciesSettings
    """The rules."""
    roles: RolesSettings = RolesSettings()
    """Who may do what."""
    demo: DemoSettings = DemoSettings()
    """The embedded demo."""

    @property
    def opened_in_directories(self) -> tuple[str, ...]:
        """Groups of directories whose members may recover, once the policy opens them too."""
        return tuple(group for directory in self.directories for group in directory.opened_groups)

    @model_validator(mode="after")
    def _fit_together(self) -> "Settings":
        names = [directory.name for directory in self.directories]
        if len(set(names)) != len(names):
            raise ValueError("directories: two have the same name")
        linked = [identity.name for identity in self.identities]
        if len(set(linked)) != len(linked):
            raise ValueError("identities: two have the same name")
        # Security: the sign-in that is to be recovered recovers nothing (S2).
        if self.idp.issuer in {identity.issuer for identity in self.identities}:
            raise ValueError("identities: one is the identity provider whose passwords are recovered")
        if not self.directories and self.idp.kind != "keycloak":
            raise ValueError("directories: at least one is needed, where passwords are written")
        if len({directory.read_by for directory in self.directories}) < len(self.directories):
            raise ValueError("directories: two are read by the same federation")
        return self

    @model_validator(mode="after")
    def _applications_are_elsewhere(self) -> "Settings":
        # Security: cookies know no ports, so an application would get those of our own pages.
        own = urlsplit(self.gateway.public).hostname
        theirs = {urlsplit(origin).hostname for origin in self.forward_auth.applications}
        if own in theirs and not is_loopback(own or ""):
            raise ValueError("forward_auth.applications: the gateway's own host cannot be guarded")
        return self

    @model_validator(mode="after")
    def _targets_are_directories(self) -> "Settings":
        names = [target.directory for target in self.targets]
        known = [directory.name for directory in self.directories]
        if len(set(names)) != len(names) or not set(names) <= set(known):
            raise ValueError("targets: each names one of the directories, once")
        if names and known[0] not in names:
            raise ValueError(f"targets: {known[0]}, the first directory, must be one of them")
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
