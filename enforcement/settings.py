"""Settings of the policy document."""

from pathlib import Path

from pydantic import Field

from store.settings import Section


class PoliciesSettings(Section):
    """Where the rules come from."""

    file: Path
    """The policy document (TOML). It is read at start; a document that differs from the newest stored
    version becomes a new version. One that is weaker for anybody waits until a second person approves it
    (`sparekey policy`); the version before it stays in force."""
    weaker_after_hours: int = Field(default=1, ge=0, le=168)
    """How long a weaker version waits at least, so that administrators, who are told of it, can object."""
