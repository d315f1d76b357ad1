"""Settings of the policy document."""

from pathlib import Path

from store.settings import Section


class PoliciesSettings(Section):
    """Where the rules come from."""

    file: Path
    """The policy document (TOML). It is read at start; a document that differs from the newest stored
    version becomes a new version."""
