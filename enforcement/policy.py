"""The policy document: ordered rules, of which the first that matches a sign-in decides.

TOML or JSON; `deploy/policies.example.toml` shows every field.
"""

import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

Purpose = Literal["reset", "unlock"]
"""What somebody who cannot sign in may do here."""
Kind = Literal["email", "totp", "recovery_codes"]
KINDS: tuple[Kind, ...] = get_args(Kind)
COUNTED_ONCE: frozenset[str] = frozenset({"recovery_codes"})
"""Kinds of which several count as one: another list in the same drawer is no other way back in."""
_Items = TypeVar("_Items", bound=tuple[object, ...])


class PolicyInvalid(Exception):
    """Every problem at once: pairs of where (`rules.0.kinds`) and what is wrong there; never empty."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {what}" for where, what in problems))
        self.problems = tuple(problems)


class GroupsUnknown(Exception):
    """Which rule matches depends on groups or roles that were not learnt: learn them and ask again."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Who(_Part):
    """Whom a rule is for. Names are compared exactly as the identity provider writes them."""

    everyone: bool = False
    """Everybody, whatever their groups and roles."""
    groups: tuple[str, ...] = ()
    """Or members of any of these groups."""
    roles: tuple[str, ...] = ()
    """Or holders of any of these roles."""
    clients: tuple[str, ...] = ()
    """Only sign-ins to these relying parties (client ids); empty means to any."""

    @model_validator(mode="after")
    def _names_somebody(self) -> "Who":
        if not (self.everyone or self.groups or self.roles):
            raise ValueError("names nobody: set everyone, groups or roles")
        return self

    @property
    def needs_groups(self) -> bool:
        """Whether groups or roles must be known to tell who is meant."""
        return not self.everyone

    def matches(self, groups: frozenset[str] | None, roles: frozenset[str] | None, client_id: str) -> bool:
        """Tell whether a sign-in is meant.

        Raises:
            GroupsUnknown: It depends on groups or roles given as None.
        """
        if self.clients and client_id not in self.clients:
            return False
        if self.everyone or not (groups or frozenset()).isdisjoint(self.groups):
            return True
        if not (roles or frozenset()).isdisjoint(self.roles):
            return True
        if (self.groups and groups is None) or (self.roles and roles is None):
            raise GroupsUnknown
        return False


class Postpone(_Part):
    """How long "later" may be said; every bound that is given holds."""

    times: int = Field(default=0, ge=0, le=100)
    """In how many sign-ins; 0 means never."""
    until: dt.date | None = None
    """The last day (UTC) on which it may be said."""
    days: int | None = Field(default=None, ge=1, le=730)
    """How many days after the first time."""


class Rule(_Part):
    """What is asked of whom."""

    name: str = Field(min_length=1, max_length=100)
    """Shown to the people it applies to."""
    who: Who
    """Whom it is for."""
    required: bool = True
    """False excludes these people: they may register, and are never interrupted."""
    kinds: tuple[Kind, ...] = KINDS
    """Which authenticators count, in the order in which they are offered."""
    register_count: int = Field(default=1, ge=1, le=5, alias="register")
    """How many must be registered."""
    reset: int = Field(default=1, ge=1, le=2)
    """How many kinds must be proved in a reset, and to unlock."""
    reset_allowed: bool = True
    """Whether these people may reset their password themselves."""
    unlock_allowed: bool = True
    """Whether these people may end a lock of their account themselves, their password untouched."""
    reconfirm_days: int = Field(default=180, ge=0, le=730)
    """After how many days people are asked whether everything is still right; 0 means never."""
    postpone: Postpone = Postpone()
    """Whether registration may wait."""
    on_fault: Literal["release", "deny"] = "release"
    """What becomes of sign-ins while the gate cannot be asked."""
    trust_delay_hours: int = Field(default=24, ge=0, le=168)
    """How long a first binding on a password alone proves nothing in a reset (S1)."""
    people_per_address: int = Field(default=3, ge=1, le=1000)
    """How many people may register the same address (S2)."""
    notify_person: bool = True
    """Whether every address of the person is told of a reset or an unlock."""

    model_config = ConfigDict(populate_by_name=True)

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, value: tuple[Kind, ...]) -> tuple[Kind, ...]:
        if len(set(value)) != len(value):
            raise ValueError("lists a kind twice")
        return _not_empty(value)

    @field_validator("register_count")
    @classmethod
    def _can_be_registered(cls, value: int, info: ValidationInfo) -> int:
        kinds = info.data.get("kinds", KINDS)
        if COUNTED_ONCE.issuperset(kinds) and value > len(kinds):
            raise ValueError("asks for more than the rule's kinds can give")
        return value

    @field_validator("reset")
    @classmethod
    def _can_be_reached(cls, value: int, info: ValidationInfo) -> int:
        if value > len(info.data.get("kinds", KINDS)):
            raise ValueError("asks for more kinds than the rule lists")
        if value > info.data.get("register_count", value):
            raise ValueError("asks for more than must be registered")
        return value

    @property
    def register(self) -> int:
        """How many must be registered; the document's own name for `register_count`."""
        return self.register_count

    @property
    def register_kinds(self) -> tuple[str, ...]:
        """The kinds that may be registered."""
        return self.kinds

    def allows(self, purpose: Purpose) -> bool:
        """Tell whether these people may do this themselves."""
        return self.unlock_allowed if purpose == "unlock" else self.reset_allowed

    def proving_kinds(self, purpose: Purpose) -> tuple[str, ...]:
        """Return the kinds that prove something for this purpose; none where it is not allowed."""
        return self.kinds if self.allows(purpose) else ()

    @property
    def trust_delay(self) -> dt.timedelta:
        """`trust_delay_hours`, as a duration."""
        return dt.timedelta(hours=self.trust_delay_hours)


class Policy(_Part):
    """One version of the document."""

    version: int = 0
    """Given by the store; 0 before it is stored."""
    rules: tuple[Rule, ...]
    """The first that matches decides; a sign-in that none matches is let go."""

    @field_validator("rules")
    @classmethod
    def _some(cls, value: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return _not_empty(value)

    def rule_for(
        self, *, groups: frozenset[str] | None, roles: frozenset[str] | None = None, client_id: str = ""
    ) -> Rule | None:
        """Return the rule for a sign-in, or None where nothing is asked.

        Args:
            groups: None where they were not learnt; so with roles.

        Raises:
            GroupsUnknown: A rule that might match first depends on what was not learnt.
        """
        return next((rule for rule in self.rules if rule.who.matches(groups, roles, client_id)), None)

    @property
    def needs_groups(self) -> bool:
        """Whether any rule depends on groups or roles."""
        return any(rule.who.needs_groups for rule in self.rules)

    def proving_kinds(self, purpose: Purpose) -> tuple[str, ...]:
        """Return what every stranger is offered: the union over the rules (S4), in the order of `KINDS`.

        Empty where no rule allows it to anybody.
        """
        offered = {kind for rule in self.rules for kind in rule.proving_kinds(purpose)}
        return tuple(kind for kind in KINDS if kind in offered)

    def most_gates(self, purpose: Purpose) -> int:
        """Return how many gates every stranger is shown: the most that any rule asks (S4)."""
        return max((rule.reset for rule in self.rules if rule.allows(purpose)), default=1)

    def document(self) -> dict[str, Any]:
        """Return the document as stored: what JSON can hold, every field stated, without its version."""
        return self.model_dump(mode="json", by_alias=True, exclude={"version"})


def _not_empty(value: _Items) -> _Items:
    # Not `min_length`: that also complains of every list whose items are wrong.
    if not value:
        raise ValueError("is empty")
    return value


def load(text: str) -> Policy:
    """Read a TOML document.

    Raises:
        PolicyInvalid: With every problem.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyInvalid([("document", str(error))]) from error
    if "version" in document:
        raise PolicyInvalid([("version", "is counted by the store")])
    return from_document(document)


def from_document(document: Mapping[str, Any], *, version: int = 0) -> Policy:
    """Check a document that was read or stored; raises as `load`."""
    try:
        policy = Policy.model_validate({**document, "version": version})
    except ValidationError as error:
        found = [(".".join(str(part) for part in e["loc"]) or "document", e["msg"]) for e in error.errors()]
        raise PolicyInvalid([*found, *_between_rules(document)]) from error
    problems = list(_between_rules(document))
    if problems:
        raise PolicyInvalid(problems)
    return policy


def _between_rules(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong between rules, as far as they can be read."""
    rules = document.get("rules")
    names: set[str] = set()
    for_everyone = ""
    for number, rule in enumerate(rules if isinstance(rules, list) else []):
        if not isinstance(rule, Mapping):
            continue
        name, who = str(rule.get("name", "")), rule.get("who")
        if name in names:
            yield f"rules.{number}.name", "another rule has this name"
        if for_everyone:
            yield f"rules.{number}", f'is never reached: "{for_everyone}" before it is for everyone'
        names.add(name)
        if isinstance(who, Mapping) and who.get("everyone") is True and not who.get("clients"):
            for_everyone = for_everyone or name
