"""The policy document: ordered rules, of which the first that matches a sign-in decides.

TOML or JSON; `deploy/policies.example.toml` shows every field.
"""

import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, TypeVar, get_args

from pydantic import (
    AwareDatetime,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from enforcement.presets import PRESETS, Preset
from enforcement.proof import NEVER_FIRST, NEVER_REGISTERED, ProofRule
from enforcement.situation import Situation
from enforcement.who import Fit, Part, Who

Purpose = Literal["reset", "unlock", "change"]
"""What somebody who cannot sign in may do here."""
Kind = Literal[
    "email",
    "mobile_phone",
    "office_phone",
    "totp",
    "passkey",
    "recovery_codes",
    "security_questions",
    "identity",
    "helpdesk_code",
]
Evidence = Literal["undeliverable", "directory"]
"""What makes it doubtful that what is registered still is right; see `store.people.Evidence`."""
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which strangers are offered them."""
DEFAULT_KINDS: tuple[Kind, ...] = ("email", "totp", "recovery_codes")
"""What a rule lists that says nothing: kinds that need nothing but a mail server."""
COUNTED_ONCE: frozenset[str] = frozenset({"recovery_codes", "security_questions"})
"""Kinds of which several count as one: another list in the same drawer is no other way back in."""
_LONGEST_MAINTENANCE = dt.timedelta(days=14)
_NARROWER = ("ring", "clients", "networks", "protocols", "times")
_Items = TypeVar("_Items", bound=tuple[object, ...])


class PolicyInvalid(Exception):
    """Every problem at once: pairs of where (`rules.0.kinds`) and what is wrong there; never empty."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {what}" for where, what in problems))
        self.problems = tuple(problems)


class GroupsUnknown(Exception):
    """Which rule matches depends on groups or roles that were not learnt: learn them and ask again."""


class Postpone(Part):
    """How long "later" may be said; every bound that is given holds."""

    times: int = Field(default=0, ge=0, le=100)
    """In how many sign-ins; 0 means never."""
    until: dt.date | None = None
    """The last day (UTC) on which it may be said."""
    days: int | None = Field(default=None, ge=1, le=730)
    """How many days after the first time."""


class Rule(Part):
    """What is asked of whom."""

    name: str = Field(min_length=1, max_length=100)
    """Shown to the people it applies to."""
    who: Who
    """Whom it is for."""
    report_only: bool = False
    """True for trying the rule out: whom it would hold is noted and counted, and the rules after it decide as
    if it were not there."""
    preset: Preset | None = None
    """A starting point: `nist-800-63b-4`, `asvs-l2` or `azure-ad-2017`; what the rule states itself stays."""
    required: bool = True
    """False excludes these people: they may register, and are never interrupted."""
    kinds: tuple[Kind, ...] = DEFAULT_KINDS
    """Which authenticators count, in the order in which they are offered."""
    register_count: int = Field(default=1, ge=1, le=5, alias="register")
    """How many must be registered."""
    reset: int = Field(default=1, ge=1, le=5)
    """How many kinds must be proved in a reset: so many of those that are listed."""
    unlock: int | None = Field(default=None, ge=1, le=5)
    """The same to unlock; left out, as many as in a reset."""
    reset_kinds: tuple[Kind, ...] = ()
    """Which kinds prove something in a reset; left out, those of `kinds`."""
    unlock_kinds: tuple[Kind, ...] = ()
    """The same to unlock; left out, those of a reset."""
    change_kinds: tuple[Kind, ...] = ()
    """The same beside the old password, when an expired one is changed; left out, those of a reset."""
    weights: dict[Kind, int] = Field(default_factory=dict)
    """What each proof weighs, 1 where nothing is said."""
    reset_weight: int = Field(default=0, ge=0, le=50)
    """What the proofs of a reset or an unlock must weigh together; 0 asks nothing beyond their number."""
    different_media: bool = True
    """Whether each proof must come by a medium of its own: two telephones are one."""
    reset_allowed: bool = True
    """Whether these people may reset their password themselves."""
    unlock_allowed: bool = True
    """Whether these people may end a lock of their account themselves, their password untouched."""
    change_allowed: bool = True
    """Whether these people may change their password here, expired or not, by the old one."""
    reconfirm_days: int = Field(default=180, ge=0, le=730)
    """After how many days people are asked whether everything is still right; 0 means never."""
    reconfirm_below_version: int = Field(default=0, ge=0)
    """Also whoever confirmed last under a version of this document below this one; 0 means nobody."""
    reconfirm_absence_days: int = Field(default=0, ge=0, le=730)
    """Also who did not sign in for so many days; 0 means nobody."""
    reconfirm_on: tuple[Evidence, ...] = ("undeliverable", "directory")
    """Also after evidence: a code that could not be delivered, other addresses in the directory."""
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

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or given.get("preset") not in PRESETS:
            return given
        return {**PRESETS[given["preset"]], **given}

    @field_validator("kinds", "reset_kinds", "unlock_kinds", "change_kinds")
    @classmethod
    def _each_once(cls, value: tuple[Kind, ...], info: ValidationInfo) -> tuple[Kind, ...]:
        if len(set(value)) != len(value):
            raise ValueError("lists a kind twice")
        return value if info.field_name != "kinds" else _not_empty(value)

    @field_validator("name")
    @classmethod
    def _is_shown(cls, value: str) -> str:
        return _one_line(value)

    @field_validator("weights")
    @classmethod
    def _weigh(cls, value: dict[Kind, int]) -> dict[Kind, int]:
        if not all(1 <= weight <= 10 for weight in value.values()):
            raise ValueError("a proof weighs 1 to 10")
        return value

    @field_validator("register_count")
    @classmethod
    def _can_be_registered(cls, value: int, info: ValidationInfo) -> int:
        kinds = info.data.get("kinds", DEFAULT_KINDS)
        if COUNTED_ONCE.issuperset(kinds) and value > len(kinds):
            raise ValueError("asks for more than the rule's kinds can give")
        return value

    @model_validator(mode="after")
    def _can_be_reached(self) -> "Rule":
        if NEVER_FIRST.issuperset(self.register_kinds):
            raise ValueError("kinds: security questions never stand alone, because they are easily found out")
        for purpose, proof in self.proofs.items():
            if proof.fewest_more((), proof.kinds) is None:
                raise ValueError(f"{purpose}: these kinds can never be proof enough")
        reset = self.proofs["reset"]
        if reset.gates > self.register_count and not NEVER_REGISTERED.intersection(reset.kinds):
            raise ValueError("reset: asks for more than must be registered")
        return self

    @property
    def register(self) -> int:
        """How many must be registered; the document's own name for `register_count`."""
        return self.register_count

    @property
    def register_kinds(self) -> tuple[str, ...]:
        """The kinds that may be registered."""
        return tuple(kind for kind in self.kinds if kind not in NEVER_REGISTERED)

    def allows(self, purpose: Purpose) -> bool:
        """Tell whether these people may do this themselves."""
        allowed = {
            "reset": self.reset_allowed,
            "unlock": self.unlock_allowed,
            "change": self.change_allowed,
        }
        return allowed[purpose]

    def strengthened(self) -> "Rule":
        """Return what holds for people whose password gives power, once an operator opened that (S18).

        At least two proofs by different media, no questions and nothing handed out, whatever the rule says
        itself.
        """

        def kept(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
            return tuple(kind for kind in kinds if kind not in NEVER_FIRST | NEVER_REGISTERED)

        # Security: where nothing is left of what proves something in a reset, nothing else takes its place.
        reset = kept(self.reset_kinds or self.kinds)
        unlock, change = kept(self.unlock_kinds) or reset, kept(self.change_kinds) or reset
        return self.model_copy(
            update={
                "kinds": kept(self.kinds),
                "reset_kinds": reset,
                "unlock_kinds": unlock,
                "change_kinds": change,
                "reset_allowed": self.reset_allowed and bool(reset),
                "unlock_allowed": self.unlock_allowed and bool(unlock),
                "change_allowed": self.change_allowed and bool(change),
                "different_media": True,
                "reset": max(self.reset, 2),
                "unlock": max(self.unlock or self.reset, 2),
            }
        )

    @property
    def proofs(self) -> Mapping[Purpose, ProofRule]:
        """What must be proved, by purpose; a change asks for the old password besides (S6)."""
        reset = ProofRule(
            self.reset_kinds or self.kinds,
            self.reset,
            self.reset_weight,
            tuple(self.weights.items()),
            self.different_media,
        )
        return _proofs(reset, self.unlock_kinds, self.unlock, self.change_kinds)

    def proving_kinds(self, purpose: Purpose) -> tuple[str, ...]:
        """Return the kinds that prove something for this purpose; none where it is not allowed."""
        return self.proofs[purpose].kinds if self.allows(purpose) else ()

    @property
    def trust_delay(self) -> dt.timedelta:
        """`trust_delay_hours`, as a duration."""
        return dt.timedelta(hours=self.trust_delay_hours)


class Maintenance(Part):
    """Some days in which nobody is interrupted; who is covered stays so."""

    begins: AwareDatetime
    """From when."""
    until: AwareDatetime
    """Until when; at most 14 days later."""

    @model_validator(mode="after")
    def _is_bounded(self) -> "Maintenance":
        # Security: one that is forgotten must not switch the gate off for good.
        if not self.begins < self.until <= self.begins + _LONGEST_MAINTENANCE:
            raise ValueError("ends after it begins, and no more than 14 days later")
        return self

    def includes(self, moment: dt.datetime) -> bool:
        """Tell whether it holds at a moment."""
        return self.begins <= moment < self.until


@dataclass(frozen=True, slots=True)
class Heard:
    """One rule, asked about one sign-in."""

    rule: Rule
    fit: Fit
    """Of a rule that is not reached, nothing is said."""
    part: Literal["possible", "reports", "against", "not_reached"]
    """`possible`: it decides, or may if something is unknown."""


class Policy(Part):
    """One version of the document."""

    version: int = 0
    """Given by the store; 0 before it is stored."""
    maintenance: Maintenance | None = None
    """A time in which nobody is interrupted."""
    opened: tuple[str, ...] = ()
    """Groups and roles that the settings open to recovery, spelled as there: one door, two keys (S23)."""
    rules: tuple[Rule, ...]
    """The first that matches decides; a sign-in that none matches is let go."""

    @field_validator("opened")
    @classmethod
    def _are_shown(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_one_line, value))

    @field_validator("rules")
    @classmethod
    def _some(cls, value: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return _not_empty(value)

    def opens(self, power: str) -> bool:
        """Tell whether a group or role that the settings open is opened by this version too."""
        return power.casefold() in {each.casefold() for each in self.opened}

    def rule_for(self, situation: Situation) -> Rule | None:
        """Return the rule for a sign-in or, where little is said, for a person; None where nothing is asked.

        What is unknown but for groups and roles is taken for none of those that rules name: apart from any
        sign-in, only rules that are bound to none decide. For sign-ins see `possible_rules`.

        Raises:
            GroupsUnknown: A rule that might match first depends on groups or roles that were not learnt.
        """
        for rule in self.deciding_rules:
            fit = rule.who.fit(situation)
            if fit.matches:
                return rule
            if fit.unknown == ("people",) and not fit.against:
                raise GroupsUnknown
        return None

    def possible_rules(self, situation: Situation) -> tuple[Rule | None, ...]:
        """Return every rule that may decide a sign-in of which not everything is known, in their order.

        The last is None where it may be that no rule matches. Never empty; just one where all that rules
        ask for is known.

        Security: whoever drops our cookie makes the relying party unknown; that must never help (S10).
        """
        heard = self.heard(situation)
        rules = tuple(each.rule for each in heard if each.part == "possible")
        is_certain = any(each.part == "possible" and each.fit.matches for each in heard)
        return rules if is_certain else (*rules, None)

    def heard(self, situation: Situation) -> tuple[Heard, ...]:
        """Return how every rule fits a sign-in, in their order, and whether it has a part in deciding it."""
        heard: list[Heard] = []
        before: list[tuple[Who, Fit]] = []
        for number, rule in enumerate(self.rules):
            fit = rule.who.fit(situation)
            if fit.against or rule.report_only:
                heard.append(Heard(rule, fit, "against" if fit.against else "reports"))
                continue
            is_hidden = any(who.includes(rule.who, missing.unknown) for who, missing in before)
            heard.append(Heard(rule, fit, "not_reached" if is_hidden else "possible"))
            if fit.matches:
                return (*heard, *(Heard(later, Fit(), "not_reached") for later in self.rules[number + 1 :]))
            before.append((rule.who, fit))
        return tuple(heard)

    @property
    def deciding_rules(self) -> tuple[Rule, ...]:
        """The rules that do more than report."""
        return tuple(rule for rule in self.rules if not rule.report_only)

    @property
    def needs_groups(self) -> bool:
        """Whether any rule depends on groups or roles."""
        return any(rule.who.needs_groups for rule in self.rules)

    @property
    def kinds(self) -> frozenset[str]:
        """Every kind that any rule lists, for whatever."""
        return frozenset(
            kind
            for rule in self.rules
            for kind in (*rule.kinds, *rule.reset_kinds, *rule.unlock_kinds, *rule.change_kinds)
        )

    def proving_kinds(self, purpose: Purpose) -> tuple[str, ...]:
        """Return what strangers are offered first: the union over the rules (S4), in the order of `KINDS`.

        Empty where no rule allows it to anybody.
        """
        offered = {kind for rule in self.deciding_rules for kind in rule.proving_kinds(purpose)} - NEVER_FIRST
        return tuple(kind for kind in KINDS if kind in offered)

    def most_gates(self, purpose: Purpose) -> int:
        """Return how many gates every stranger is shown: the most that any rule asks (S4)."""
        rules = [rule for rule in self.deciding_rules if rule.allows(purpose)]
        return max((rule.proofs[purpose].gates for rule in rules), default=1)

    def in_force(self) -> "Policy":
        """Return what this version asks while it is the newest.

        Nobody can have confirmed anything under a later one: a rule that asks for that asks for this one.
        """
        rules = tuple(
            rule.model_copy(
                update={"reconfirm_below_version": min(rule.reconfirm_below_version, self.version)}
            )
            for rule in self.rules
        )
        return self.model_copy(update={"rules": rules})

    def document(self) -> dict[str, Any]:
        """Return the document as stored: what JSON can hold, every field stated, without its version."""
        return self.model_dump(mode="json", by_alias=True, exclude={"version"})


def _one_line(value: str) -> str:
    # Security: whoever approves a version reads this in a terminal and in a mail, where control characters
    # could write over the rest (S23). Two that join letters are letters of some scripts.
    if not value.replace("\u200c", "").replace("\u200d", "").isprintable():
        raise ValueError("holds a line end or another character that is not shown")
    return value


def _not_empty(value: _Items) -> _Items:
    # Not `min_length`: that also complains of every list whose items are wrong.
    if not value:
        raise ValueError("is empty")
    return value


# The gate asks at each sign-in, and rules are few.
@lru_cache(maxsize=1024)
def _proofs(
    reset: ProofRule, unlock_kinds: tuple[Kind, ...], unlock: int | None, change_kinds: tuple[Kind, ...]
) -> Mapping[Purpose, ProofRule]:
    return {
        "reset": reset,
        "unlock": replace(reset, kinds=unlock_kinds or reset.kinds, gates=unlock or reset.gates),
        "change": replace(reset, kinds=change_kinds or reset.kinds, gates=1, weight=0),
    }


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
        if rule.get("report_only") is True:
            continue
        if isinstance(who, Mapping) and who.get("everyone") is True and not any(map(who.get, _NARROWER)):
            for_everyone = for_everyone or name
