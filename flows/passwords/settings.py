"""Settings of new passwords."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from flows.passwords.banned import MOST_TERMS, NEEDED, is_term
from store.settings import Section


class BannedSettings(Section):
    """Terms that a password may not be built on: each counts as one character, however long it is."""

    common: bool = True
    """Also the thousand passwords that are tried first everywhere."""
    terms: tuple[str, ...] = Field(default=(), max_length=MOST_TERMS)
    """Up to 1,000 terms of 4 to 16 characters, such as products, places and teams. Capitals do not matter,
    and neither do 0 for o, 1 for l, $ for s and @ for a."""
    points: int = Field(default=NEEDED, ge=2, le=16)
    """How many points a password needs: one for each term in it, one for each other character."""

    @field_validator("terms")
    @classmethod
    def _findable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [term for term in value if not is_term(term)]
        if wrong:
            raise ValueError(f"terms have 4 to 16 characters; {wrong[0]!r} has not")
        return value


class BreachSettings(Section):
    """Passwords that leaked elsewhere; looked up once a password is submitted, never while it is typed."""

    source: Literal["none", "api", "ranges", "list"] = "none"
    """`api` asks a range service on the network, which learns 5 of 40 digits of a SHA-1 digest; `ranges`
    reads a folder of that service's range files; `list` a file made by `sparekey passwords
    build-breach-list`."""
    path: Path | None = None
    """The folder of `ranges` (files `00000` to `FFFFF`, with or without `.txt`), or the file of `list`."""
    api: str = "https://api.pwnedpasswords.com"
    """Where the range service is; `/range/` and five digits are added. `http` only on loopback."""
    proxy: str = ""
    """HTTP proxy by which the service is reached; none when empty, whatever the environment says."""
    seconds: float = Field(default=2, gt=0, le=10)
    """How long the service may take; after a fault it is left alone for half a minute."""
    at_least: int = Field(default=1, ge=1)
    """How many times a password must have been seen. What a `list` was made with stays."""
    unavailable: Literal["accept", "refuse"] = "accept"
    """What happens while the service or the files cannot be read: the password is accepted and the audit
    says so, or nothing is changed and the person is asked to try again later."""

    @field_validator("api")
    @classmethod
    def _confidential(cls, value: str) -> str:
        parts = urlsplit(value)
        is_loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and is_loopback)):
            raise ValueError("must be an https address; http is allowed on loopback only")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _has_path(self) -> Self:
        if self.source in {"ranges", "list"} and self.path is None:
            raise ValueError("source `ranges` and source `list` need a path")
        return self


class PasswordsSettings(Section):
    """What a new password must be, beside what the directory asks. The stricter of both counts.

    Source: NIST SP 800-63B-4 section 3.1.1.2: length and lists of bad ones, no composition rules.
    """

    shortest: int = Field(default=8, ge=8, le=64)
    """Characters at least."""
    longest: int = Field(default=256, ge=64, le=256)
    """Characters at most."""
    classes: int = Field(default=0, ge=0, le=4)
    """At least so many of: small letters, capitals, digits, others. 0 asks for none, which is better."""
    organisation_words: tuple[str, ...] = ()
    """Further words of the organisation, beside those of its name: they count like banned terms."""
    estimate: int = Field(default=0, ge=0, le=4)
    """The least zxcvbn score, 1 to 4; at 0 the estimate is shown and refuses nothing."""
    late_minutes: int = Field(default=30, ge=0, le=240)
    """How long a new password is kept, sealed, for targets that are not required and did not answer. They are
    tried again until then; 0 keeps no password and tries nothing again."""
    banned: BannedSettings = BannedSettings()
    """Banned terms."""
    breaches: BreachSettings = BreachSettings()
    """Leaked passwords."""
