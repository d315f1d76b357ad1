"""How the directories and their agents stand, in words: for `sparekey check --network`."""

from collections.abc import Iterator, Sequence

from gateway.agents.opening import open_writeback
from gateway.agents.status import described
from gateway.settings import Settings
from idp_plugin.ldap.adapters import open_adapter
from idp_plugin.settings import DirectorySettings
from idp_plugin.writeback.agent_directory import Dialect
from idp_plugin.writeback.rights import Verdict, reachable, report
from idp_plugin.writeback.roster import Status


def directories(settings: Settings, person: str, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each directory's parts, each with its problem or an empty string.

    Args:
        settings: All of them.
        person: Whose rights are asked about; empty for nobody's.
        name: Of one directory; every one when empty.
    """
    if name and name not in {each.name for each in settings.directories}:
        yield f"directory {name}", "is not in the settings"

    def open_(changed: DirectorySettings) -> Dialect:
        return open_adapter(changed, settings.idp.issuer)

    for directory in settings.directories:
        if directory.agent or name not in {"", directory.name}:
            continue
        if not person:
            for server, reached in reachable(directory, open_).items():
                yield f"directory {directory.name} {server}", "" if reached else "cannot be asked"
            continue
        for step in report(directory, (), person, open_):
            problem = step.what if step.verdict is Verdict.PROBLEM else ""
            yield f"directory {directory.name}" + ("" if problem else f": {step.what}"), problem
    behind = [each.name for each in settings.directories if each.agent and name in {"", each.name}]
    if behind:
        yield from _agents(settings, behind)
    if person and name in behind:
        # The gateway does not reach it, and its agents tell nobody what they may.
        yield f"directory {name}", f"ask on an agent's host: sparekey agent --test-rights {person}"


def _agents(settings: Settings, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    writeback = open_writeback(settings)
    try:
        for name, agents in writeback.agents().items():
            if name not in names:
                continue
            if not agents:
                yield f"agents of {name}", "none has joined: `sparekey agents invite`"
            for seen in agents:
                told = described(name, seen)
                problem = "; ".join([told["text"], *told["problems"]])
                yield f"agent {told['name']} of {name}", "" if seen.status is Status.RUNNING else problem
    finally:
        writeback.close()
        writeback.database.dispose()
