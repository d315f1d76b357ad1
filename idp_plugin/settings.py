"""Settings of the identity provider, the directories and the agent.

Each attribute's docstring is its manual: `docs/settings.md` and the sample file are generated from it.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator


class Section(BaseModel):
    """A settings section: unknown keys are refused, attribute docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class IdpSettings(Section):
    """The identity provider that the gateway stands in front of."""

    kind: Literal["keycloak", "oidc"] = "oidc"
    """`keycloak` recognises Keycloak's own session cookie, and finds people and ends sessions through its
    admin API; with `oidc`, which is any other, the first directory finds people and the provider's `sub` must
    be the directory's immutable id."""
    address: str
    """Where the gateway reaches the identity provider, for example `http://127.0.0.1:8080`. Nobody else
    should be able to reach it there."""
    issuer: str
    """The `iss` that it states; on Keycloak `https://sso.example.org/realms/corp`."""
    client_id: str = "sparekey"
    """The gateway's own client at the identity provider."""
    client_secret: SecretStr
    """That client's secret."""
    scope: str = "openid profile email"
    """What our client asks for; add what makes the provider state groups, where the policy names any."""
    tls_ca: Path | None = None
    """CA file for an `https` address; the system's authorities when empty."""
    recognition: Literal["cookie", "silent"] = "cookie"
    """Keycloak only: `cookie` learns who signed in from the session cookie that Keycloak sets and falls
    back to the silent check; `silent` always makes the silent check."""
    silent_check_seconds: float = Field(default=5, gt=0, le=30)
    """How long one silent check may take."""
    session_cookies: tuple[str, ...] = ()
    """Names of the cookies that carry the provider's session. Sent with the silent check; a response that
    sets one without being recognised counts as a miss. Keycloak needs none here."""


class DirectorySettings(Section):
    """One directory that keeps passwords."""

    name: str
    """A short word for it; it becomes part of people's account ids, so it never changes."""
    kind: Literal["openldap"] = "openldap"
    """The dialect."""
    servers: tuple[str, ...]
    """`ldaps://host:636`, or `ldap://host:389` which is upgraded by StartTLS before anything is sent. The
    first is asked first; later ones when it does not answer."""
    ca: Path
    """Certificate authority file; certificates and host names are always verified."""
    bind_dn: str
    """The service account."""
    bind_password: SecretStr
    """Its password; or name `bind_password_file` instead."""
    bind_password_file: Path | None = None
    """A file that holds the password alone; a line break at its end does not count."""
    base: str
    """Where people are searched, with everything below."""
    name_attributes: tuple[str, ...] = ("uid", "mail")
    """Attributes that a typed identifier is compared with, by the directory's own matching rule."""
    default_policy: str = ""
    """DN of the server's default password policy (`ppolicy_default`). When empty: the one policy entry in
    the people's naming context, if there is exactly one."""
    id_attribute: str = "entryUUID"
    """The immutable id."""
    protected_groups: tuple[str, ...] = ()
    """DNs of groups whose members are privileged and never written to (S18)."""
    trusted_attributes: tuple[str, ...] = ()
    """Contact attributes that people cannot write themselves; only these may prove anything (S2)."""
    seconds: float = Field(default=5, gt=0, le=60)
    """How long one whole operation may take."""

    @model_validator(mode="before")
    @classmethod
    def _read_password(cls, given: Any) -> Any:
        if not isinstance(given, dict) or not given.get("bind_password_file"):
            return given
        if given.get("bind_password"):
            raise ValueError("bind_password and bind_password_file: only one of them")
        try:
            password = Path(given["bind_password_file"]).read_text("utf-8").rstrip("\r\n")
        except OSError as error:
            raise ValueError(f"bind_password_file: {error.strerror}") from error
        return {**given, "bind_password": password, "bind_password_file": None}

    @field_validator("bind_password")
    @classmethod
    def _has_password(cls, value: SecretStr) -> SecretStr:
        # Spec: RFC 4513 section 5.1.2, a bind with an empty password succeeds as nobody.
        if not value.get_secret_value():
            raise ValueError("is needed, here or in bind_password_file")
        return value
