"""Settings of the policy document."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A settings section: unknown keys are refused, attribute docstrings are descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class PoliciesSettings(Section):
    """Where the rules come from."""

    file: Path
    """The policy document (TOML). It is read at start; a document that differs from the newest stored
    version becomes a new version."""
