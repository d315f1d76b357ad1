"""Who lives in the demo, and what each of them is there to show."""

import secrets
from dataclasses import dataclass
from typing import Any

GROUPS = ("staff", "administrators", "helpdesk")


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One inhabitant."""

    username: str
    display_name: str
    groups: tuple[str, ...] = ("staff",)
    emails: tuple[str, ...] = ()
    """What the directory knows; `<username>@example.org`."""
    office_phone: str = ""
    """As the directory holds it; nobody has a number with 555-01 in it."""
    registered: tuple[str, ...] = ()
    """Kinds that are registered from the start: `email`, `totp`."""
    registered_days_ago: int = 0
    locked: bool = False
    expired: bool = False


def _person(username: str, family_name: str, **more: Any) -> DemoPerson:
    emails = (f"{username}@example.org",)
    return DemoPerson(username, f"{username.title()} {family_name}", emails=emails, **more)


PEOPLE: tuple[DemoPerson, ...] = (
    _person("alice", "Arden", office_phone="+1 202 555 0100 ext 12"),
    _person("bob", "Baker", registered=("email",), office_phone="+1 202 555 0102"),
    _person("carol", "Castle", registered=("email", "totp"), locked=True),
    _person("dave", "Dalton", registered=("email",), expired=True),
    _person("erin", "Ellis", groups=("staff", "administrators")),
    _person("frank", "Foster", groups=("staff", "helpdesk")),
    _person("grace", "Gardner", registered=("email",), registered_days_ago=400),
    _person("heidi", "Hughes", groups=()),
)

_WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "ivory", "juniper", "kestrel",
    "linden", "maple", "north", "olive", "pebble", "quartz", "river", "spruce", "timber", "umber", "violet",
    "willow", "yarrow",
)  # fmt: skip


def new_password() -> str:
    """Return a password that a person can read and type, such as `Maple-Heron-4821`."""
    first, second = secrets.choice(_WORDS).title(), secrets.choice(_WORDS).title()
    return f"{first}-{second}-{secrets.randbelow(9000) + 1000}"


def new_passwords() -> dict[str, str]:
    """Return everybody's password by user name, for one start of the demo."""
    return {person.username: new_password() for person in PEOPLE}
