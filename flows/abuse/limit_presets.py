"""Named sets of limits: what a preset states holds wherever a setting of its own does not."""

from collections.abc import Mapping
from typing import Any, Literal

PresetName = Literal["", "azure-ad-2017"]

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Five resets, five checks of a number and five tries of a method an hour, then nothing for a day. The
    # lifetimes of that product (sessions of 105 minutes, codes as long) are weaker than ours and not taken.
    # Source: Azure AD, "Frequently asked questions about password reset", 2017.
    "azure-ad-2017": {
        "attempts_per_hour": 5,
        "wrong_answers": 5,
        "wrong_answers_hours": 1,
        "code_messages_per_hour": 5,
        "lock_hours": 24,
    },
}


def with_preset(stated: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stated settings over those of the preset that they name; unknown names are left alone."""
    return {**PRESETS.get(str(stated.get("preset", "")), {}), **stated}
