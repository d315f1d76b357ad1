"""Finds out, step by step and without writing a password, whether writeback would work for one person."""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from idp_plugin.base import Identity, Subject
from idp_plugin.errors import IdpError, IdpMisconfigured, IdpUnavailable
from idp_plugin.settings import DirectorySettings
from idp_plugin.writeback.agent_directory import Dialect

NOBODY = "sparekey-check-nobody"

Open = Callable[[DirectorySettings], Dialect]
"""Opens the adapter of a directory."""


class Right(Protocol):
    """One right as a dialect found it."""

    @property
    def right(self) -> str:
        """An identifier, like `reset_password`."""

    @property
    def is_held(self) -> bool | None:
        """None where that cannot be found out."""


@runtime_checkable
class TellsRights(Protocol):
    """A dialect that can tell its rights over one person."""

    def rights(self, account: Subject) -> Sequence[Right]:
        """Return every right."""


class Verdict(enum.StrEnum):
    """How one step ended."""

    OK = "ok"
    PROBLEM = "PROBLEM"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the report."""

    verdict: Verdict
    what: str
    """A sentence for operators."""


SENTENCES = {
    "reset_password": "may set the password",
    "end_lock": "may end a lock",
    "order_change": "may order a change at the next sign-in, for temporary passwords",
    "write_lockout_time": "may end a lock (write lockoutTime)",
    "write_password_last_set": "may write pwdLastSet, which every reset needs",
    "unexpire_password": "may set passwords that need not be changed at once (Unexpire Password)",
    "read_state": "may read whether the account is locked, closed or expired",
    "read_groups": "may read every group; without it everybody counts as protected",
    "read_access_list": "may read the access list; without it 'cannot change password' is seen too late",
    "read_policy": "may read the password policy",
    "nothing_else": "may write nothing else",
}
"""What each right means."""

_OPTIONAL = frozenset({"order_change"})
"""What an operator may leave out."""
_PAGES = {
    "openldap": "deploy/openldap.md",
    "ds389": "deploy/389-directory-server.md",
    "active_directory": "deploy/active-directory.md",
}
_GRANTS: Mapping[str, Mapping[str, str]] = {
    "openldap": {
        "reset_password": "an access rule with `=w` for it on userPassword of people",
        "end_lock": "an access rule with `write` for it on pwdAccountLockedTime of people",
        "order_change": "an access rule with `write` for it on pwdReset of people",
        "nothing_else": "`read` instead of `write` or `manage` on everything else",
    },
    "ds389": {
        "reset_password": "an aci with `allow (write)` for it on userPassword of people",
        "end_lock": "an aci with `allow (write)` for it on what counts wrong passwords of people",
        "order_change": "an aci with `allow (write)` for it on passwordExpirationTime of people",
        "nothing_else": "no aci that lets it write anything else",
    },
    "active_directory": {
        "reset_password": "the control access right Reset Password on people",
        "write_lockout_time": "write property lockoutTime on people",
        "write_password_last_set": "write property pwdLastSet on people",
        "unexpire_password": "the control access right Unexpire Password on the domain",
        "read_groups": "read property tokenGroups on people (Windows: Windows Authorization Access Group)",
        "read_access_list": "read permissions on people",
        "read_policy": "read properties on the password settings container",
        "nothing_else": "no further rights",
    },
}
"""What to grant where a right lacks, by kind of directory."""


def reachable(settings: DirectorySettings, open_: Open) -> dict[str, bool]:
    """Return each server, and whether it can be reached, verified and asked by the service account."""
    return {server: not _problem(settings, server, open_) for server in settings.servers}


def missing_rights(dialects: Sequence[Dialect], name: str, directory: str) -> tuple[str, ...]:
    """Return which rights are known to lack over the account of a name."""
    for dialect in dialects:
        person = dialect.find(name)
        if person is not None and isinstance(dialect, TellsRights):
            account = Subject(directory, person.account.id)
            return tuple(
                str(each.right)
                for each in dialect.rights(account)
                if each.is_held is False and each.right not in _OPTIONAL
            )
    return ()


def report(settings: DirectorySettings, subtrees: Sequence[str], name: str, open_: Open) -> Iterator[Step]:
    """Yield what was tried for the person of a name and what came of it."""
    problems = [_problem(settings, server, open_) for server in settings.servers]
    for server, problem in zip(settings.servers, problems, strict=True):
        sentence = f"{server}: {problem or 'answers, is verified, and accepts the service account'}"
        yield Step(Verdict.PROBLEM if problem else Verdict.OK, sentence)
    if all(problems):
        return
    for subtree in subtrees or (settings.base,):
        dialect = open_(settings.model_copy(update={"base": subtree}))
        try:
            person = dialect.find(name)
        except IdpError as error:
            yield Step(Verdict.PROBLEM, f"{subtree}: cannot be searched ({error})")
            continue
        if person is not None:
            yield Step(Verdict.OK, f"{name} is one person below {subtree}")
            yield from _over(dialect, person, settings)
            return
    yield Step(
        Verdict.PROBLEM, f"{name} is nobody, or more than one person, below the subtrees of this agent"
    )


def _problem(settings: DirectorySettings, server: str, open_: Open) -> str:
    try:
        # A name that nobody has: what counts is that the question is understood.
        open_(settings.model_copy(update={"servers": (server,)})).find(NOBODY)
    except IdpUnavailable:
        return "does not answer"
    except IdpMisconfigured as error:
        return f"answers, but not as it should: {error.what}"
    except IdpError as error:
        return f"refuses: {error}"
    return ""


def _over(dialect: Dialect, person: Identity, settings: DirectorySettings) -> Iterator[Step]:
    if person.privileged:
        yield Step(
            Verdict.PROBLEM, "is in a protected group, or their groups cannot be read: never written to"
        )
    if not person.enabled:
        yield Step(Verdict.PROBLEM, "is disabled: never written to")
    if not isinstance(dialect, TellsRights):
        yield Step(Verdict.UNKNOWN, "this kind of directory tells no rights; only a canary shows them")
        return
    try:
        rights = dialect.rights(Subject(settings.name, person.account.id))
    except IdpError as error:
        yield Step(Verdict.PROBLEM, f"the rights cannot be read ({error})")
        return
    for each in rights:
        is_good = True if each.right in _OPTIONAL and each.is_held is False else each.is_held
        verdict = {True: Verdict.OK, False: Verdict.PROBLEM, None: Verdict.UNKNOWN}[is_good]
        yield Step(verdict, _told(str(each.right), each.is_held, settings.kind))


def _told(right: str, is_held: bool | None, kind: str) -> str:
    meant = SENTENCES.get(right, right)
    if is_held:
        return f"the service account {meant}"
    if is_held is None:
        return f"whether the service account {meant} cannot be found out"
    grant = _GRANTS[kind].get(right, "the rights of the page")
    return f"not so: the service account {meant}. Give it {grant}: see {_PAGES[kind]}"
