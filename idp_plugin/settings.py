"""Settings of the identity provider, the directories and the agent.

Each attribute's docstring is its manual: `docs/settings.md` and the sample file are generated from it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator


class Section(BaseModel):
    """A settings section: unknown keys are refused, attribute docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class IdpSettings(Section):
    """The identity provider that the gateway stands in front of."""

    kind: Literal["keycloak", "oidc", "lemonldap"] = "oidc"
    """`keycloak` recognises Keycloak's own session cookie, and finds people and ends sessions through its
    admin API; with `oidc`, which is any other, the first directory finds people and the provider's `sub` must
    be the directory's immutable id; `lemonldap` is as `oidc`, and knows the paths and the cookie of
    LemonLDAP::NG."""
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
    saml_paths: tuple[str, ...] = ()
    """Paths at which sign-ins by SAML begin, there or below, for example `/saml/singleSignOn`. Their requests
    are remembered, so that what was held can go on. Keycloak and LemonLDAP::NG need none here."""
    cas_paths: tuple[str, ...] = ()
    """Paths at which sign-ins by CAS begin, for example `/cas/login`. Keycloak and LemonLDAP::NG need none
    here."""
    sessions_path: str = ""
    """Where below `address` a person's sessions are ended after a reset. Empty: nowhere, then they go on
    until they end by themselves, and pages and `sparekey check` say so; Keycloak needs none here. With
    `lemonldap`, the portal's REST session server, `/sessions`. With `oidc`, what takes a form with
    `subject`, from our client by HTTP Basic, ends every session and answers `{"remaining": 0}`."""
    sessions_key: SecretStr = SecretStr("")
    """`lemonldap` only: the portal's own `key`, without which its session server finds nobody's sessions. It
    opens whatever the portal encrypts."""
    sessions_attribute: str = "uid"
    """`lemonldap` only: which attribute of a session is the person's `sub`: what the portal's option
    `oidcRPMetaDataOptionsUserIDAttr` of our client says, else its `whatToTrace`."""

    @property
    def ends_sessions(self) -> bool:
        """Whether a person's sessions can be ended there."""
        return self.kind == "keycloak" or bool(self.sessions_path)

    @model_validator(mode="after")
    def _sessions_are_reached(self) -> "IdpSettings":
        if self.sessions_path and not self.sessions_path.startswith("/"):
            raise ValueError("sessions_path: begins with a slash")
        if self.kind == "lemonldap" and bool(self.sessions_path) != bool(
            self.sessions_key.get_secret_value()
        ):
            raise ValueError("sessions_path and sessions_key: LemonLDAP::NG needs both, or neither")
        return self


def is_confidential(address: str) -> bool:
    """Tell whether nobody reads along on the way to an address: `https`, or loopback."""
    parts = urlsplit(address)
    if parts.scheme == "http":
        return parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return parts.scheme == "https" and bool(parts.hostname)


class LinkedProviderSettings(Section):
    """A further OpenID provider at which people may prove who they are. It must not be the one whose
    password is recovered, nor one that opens with it.
    """

    name: str = Field(min_length=1, max_length=40)
    """What people know it by. Shown on pages; what was linked under another name stays linked."""
    issuer: str
    """The `iss` that it states, an `https` address; its metadata is read from there."""
    client_id: str
    """Our client there. Its redirect address is the public origin, the prefix, then `/oidc/identity`."""
    client_secret: SecretStr
    """That client's secret."""
    scope: str = "openid"
    """What our client asks for; nothing but `sub` is read."""
    tls_ca: Path | None = None
    """CA file; the system's authorities when empty."""
    seconds: float = Field(default=5, gt=0, le=30)
    """How long one request to it may take."""

    @field_validator("issuer")
    @classmethod
    def _confidential(cls, value: str) -> str:
        if not is_confidential(value):
            raise ValueError("must be an https address: plain http is allowed on loopback only")
        return value


_OF_KIND: Mapping[str, Mapping[str, Any]] = {
    "active_directory": {
        "name_attributes": ("sAMAccountName", "userPrincipalName", "mail"),
        "id_attribute": "objectGUID",
    },
}
"""What stands in the place of a default that is meant for OpenLDAP."""


_REACHING: Mapping[str, Any] = {
    "servers": (),
    "ca": "",
    "bind_dn": "",
    "bind_password": "known to the agents",
    "base": "",
}
"""What only who reaches a directory knows, and what stands in its place elsewhere."""


class TargetSettings(Section):
    """One of several places that a new password is written to."""

    directory: str
    """`name` of one of the directories."""
    required: bool = True
    """Whether nothing is written anywhere while this one does not answer or does not know the person.
    Otherwise the page says where the new password works and where it does not yet."""


class DirectorySettings(Section):
    """One directory that keeps passwords."""

    name: str
    """A short word for it; it becomes part of people's account ids, so it never changes."""
    kind: Literal["openldap", "active_directory", "ds389"] = "openldap"
    """The dialect. With `active_directory`, names are `sAMAccountName`, `userPrincipalName` and `mail`, and
    the id is `objectGUID`, unless said otherwise."""
    agent: bool = False
    """Whether the directory is reached through writeback agents only. Then `servers`, `ca`, `bind_dn`,
    `bind_password` and `base` stand in the agents' own settings, and must be left out here."""
    servers: tuple[str, ...]
    """`ldaps://host:636`, or `ldap://host:389` which is upgraded by StartTLS before anything is sent. The
    first is asked first; later ones when it does not answer."""
    ca: Path
    """Certificate authority file; certificates and host names are always verified."""
    bind_dn: str
    """The service account; for Active Directory its DN or `name@domain`."""
    bind_password: SecretStr
    """Its password; or name `bind_password_file` instead."""
    bind_password_file: Path | None = None
    """A file that holds the password alone; a line break at its end does not count."""
    base: str
    """Where people are searched, with everything below."""
    name_attributes: tuple[str, ...] = ("uid", "mail")
    """Attributes that a typed identifier is compared with, by the directory's own matching rule."""
    federation: str = ""
    """Keycloak only: name or id of the user federation that reads this directory; the directory's `name` when
    empty. People of a federation that no directory names cannot reset, nor be written to anywhere."""
    default_policy: str = ""
    """DN of the server's default password policy (`ppolicy_default`). When empty: the one policy entry in
    the people's naming context, if there is exactly one."""
    id_attribute: str = "entryUUID"
    """The immutable id."""
    protected_groups: tuple[str, ...] = ()
    """DNs of groups whose members are privileged and never written to (S18). In Active Directory the
    groups that come powerful with Windows count by themselves."""
    opened_groups: tuple[str, ...] = ()
    """Those of `protected_groups` whose members may recover their own password after all, by the stronger
    rule that is fixed for them, once the policy names all of them too (`opened`), which takes a second
    person. Whoever is in another protected group as well stays closed."""
    old_password_minutes: float = Field(default=60, ge=0, le=1440)
    """Active Directory only: how long the password before a reset still opens some doors, 60 minutes unless
    the domain's `OldPasswordAllowedPeriod` says otherwise. Sessions are ended again after that time."""
    trusted_attributes: tuple[str, ...] = ()
    """Contact attributes that people cannot write themselves; only these may prove anything (S2)."""
    seconds: float = Field(default=5, gt=0, le=60)
    """How long one whole operation may take."""
    replicas: tuple[str, ...] = ()
    """Servers, written as in `servers`, at which a new password is tried once it is written, so that page and
    audit can say at how many it works already. A server that has not heard of it is not asked to take it."""
    replica_seconds: float = Field(default=2, gt=0, le=30)
    """How long a person waits for `replicas` to hear of a new password."""
    keep_seconds: float = Field(default=30, ge=0, le=300)
    """How long an unused connection, signed in as the service account, is kept for the next question; 0
    closes each after its work. None lives longer than five minutes. Choose less than the server's own idle
    time-out."""

    @property
    def read_by(self) -> str:
        """Name or id of the user federation in Keycloak."""
        return self.federation or self.name

    @model_validator(mode="before")
    @classmethod
    def _take_defaults_of_kind(cls, given: Any) -> Any:
        kind = given.get("kind", "") if isinstance(given, dict) else ""
        return {**_OF_KIND.get(kind, {}), **given} if isinstance(kind, str) and kind in _OF_KIND else given

    @model_validator(mode="before")
    @classmethod
    def _leave_reaching_to_agents(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("agent") is not True:
            return given
        # Security: credentials of a directory that the gateway does not reach have no business there.
        known = sorted(_REACHING.keys() & given.keys())
        if known:
            raise ValueError(f"agent: leave out {', '.join(known)}: they stand in the agents' settings")
        return {**_REACHING, **given}

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
