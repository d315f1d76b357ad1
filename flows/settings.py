"""Settings of messages and limits."""

from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator

from store.settings import Section


class MailSettings(Section):
    """How mail leaves."""

    host: str = ""
    """SMTP server; empty means that no mail can be sent and every mail method is refused at start."""
    port: int = 587
    """Its port."""
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    """`none` is refused unless the server is on loopback."""
    ca: str = ""
    """CA file; the system's authorities when empty."""
    username: str = ""
    """For authentication, if any."""
    password: SecretStr = SecretStr("")
    """For authentication, if any."""
    sender: str = "account-recovery@localhost"
    """The From address."""
    organisation: str = "Your organisation"
    """The name that messages and pages speak of."""
    seconds: float = Field(default=20, gt=0, le=120)
    """How long one delivery may take."""


class MessagesSettings(Section):
    """Everything that is sent to people."""

    mail: MailSettings = MailSettings()
    """Mail."""
    zone: str = "UTC"
    """Time zone whose time messages tell beside UTC, for example `Europe/Amsterdam`."""
    sign_in_domains: tuple[str, ...] = ()
    """Mail domains whose mailboxes open with the very sign-in that is to be recovered: their addresses are
    refused as recovery addresses. The first address that the directory knows of a person always is."""

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is not a time zone") from error
        return value


class LimitSettings(Section):
    """How often, per what. Every window slides; every limit is one atomic operation."""

    attempt_minutes: int = Field(default=15, ge=1, le=120)
    """How long one reset attempt lives."""
    code_minutes: int = Field(default=5, ge=1, le=60)
    """How long a verification code may be used."""
    wrong_answers: int = Field(default=5, ge=1, le=20)
    """Wrong answers that end an attempt, and that one typed name may give in 24 hours."""
    code_messages_per_hour: int = Field(default=5, ge=1, le=100)
    """Messages with a code per person, purpose and hour. Notices do not count."""
    resend_seconds: int = Field(default=60, ge=10, le=600)
    """Between two codes of one purpose."""
    starts_per_minute: int = Field(default=3, ge=1, le=1000)
    """Attempts started per address block (IPv4 /24, IPv6 /56) and minute before the proof of work gets
    harder; ten times as many before it is refused."""
    starts_per_minute_overall: int = Field(default=600, ge=10, le=1_000_000)
    """Attempts started by everybody and minute before the proof of work gets harder for all; ten times as
    many before further ones are refused."""
    work_difficulty: int = Field(default=20_000, ge=100, le=10_000_000)
    """Average hashes that a browser computes before an attempt starts."""
    wait_without_script_seconds: int = Field(default=20, ge=0, le=300)
    """How long the page without JavaScript waits, by the server's clock."""
