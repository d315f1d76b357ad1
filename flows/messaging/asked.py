"""When and from where something was asked, in words that nobody outside can choose (S15, S24)."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

_BROWSERS = (
    # The order matters: Edge and Opera also call themselves Chrome, and Chrome calls itself Safari.
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome/", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as messages tell of it."""

    at: dt.datetime
    block: str
    """Address block like `192.0.2.0/24`; empty where unknown."""
    browser: str
    """Like `Firefox on Windows`; empty where unknown."""

    def to_json(self) -> dict[str, Any]:
        """Return what a job carries."""
        return {"at": self.at.isoformat(), "block": self.block, "browser": self.browser}

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Asked":
        """Read what `to_json` made."""
        return cls(dt.datetime.fromisoformat(body["at"]), body["block"], body["browser"])


def browser_of(agent: str) -> str:
    """Return a browser's and its system's names, from a fixed list, for a `User-Agent` field."""
    # Security: a stranger writes this field; not one character of it may reach a message.
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if browser and system else browser or system
