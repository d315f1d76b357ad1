"""Refusals are expected and shown; failures get a generic sentence and a reference number.

::

    FlowError
      Refused
        WrongCode(attempts_left)      an answer did not match
        WrongOldPassword(attempts_left)
                                      the old password did not match
        CodeExpired                   the code was right once, or there is none
        AttemptExpired                no such attempt, or it is over
          AttemptMoved                it goes on in another browser
        WorkNotDone                   no proof of work, or it is wrong, old or spent
        TooManyAttempts(retry_after)  a limit was reached
        TooSoon(retry_after)          wait before another code is sent
        WeakPassword(findings)        ours or the directory's rules said no
        WrongStage                    the step does not fit the facts; show where the attempt stands
        ProofRequired                 prove an existing method first (S1)
        UnusableAddress(why)          this address may not be registered
          UnusableNumber(why)         the same of a phone number
        UnusableAnswers(why, at)      these security questions may not be registered
        LastMethod                    removal would leave less than the policy asks
      Failed
        MessageNotSent
        PasswordNotWritten
        NotUnlocked
        NotPossible(why)              told only after the first proof: disabled, too young, privileged …
        HelpRefused(why)              an administrator may not help in this way
        OutcomeIsUnknown              the write may or may not have been applied
        NotReachable                  proved, and nothing can be written now; the proof counts
        Unavailable                   try again later; nothing was changed
"""

import datetime as dt

from flows.passwords.finding import Finding


class FlowError(Exception):
    """Root of this package's errors."""


class Refused(FlowError):
    """An expected no: shown to the person and audited; its transaction commits."""


class WrongCode(Refused):
    """An answer did not match."""

    def __init__(self, attempts_left: int) -> None:
        super().__init__(attempts_left)
        self.attempts_left = attempts_left


class WrongOldPassword(Refused):
    """The directory did not take the old password; nothing was changed."""

    def __init__(self, attempts_left: int) -> None:
        super().__init__(attempts_left)
        self.attempts_left = attempts_left


class CodeExpired(Refused):
    """The code is too old, was replaced by a newer one, or none was sent."""


class AttemptExpired(Refused):
    """No such attempt, or it is over."""


class AttemptMoved(AttemptExpired):
    """It goes on in another browser, which typed the code (S15)."""


class WorkNotDone(Refused):
    """The proof of work is missing, wrong, old, spent, or was made for another purpose or address."""


class TooManyAttempts(Refused):
    """A limit was reached."""

    def __init__(self, retry_after: dt.timedelta) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class TooSoon(Refused):
    """Another code may be sent after `retry_after`."""

    def __init__(self, retry_after: dt.timedelta) -> None:
        super().__init__(retry_after)
        self.retry_after = retry_after


class WeakPassword(Refused):
    """`findings` is never empty; none of them holds."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        # Security: a finding's parameters say what the password is like; only rules may reach a log.
        super().__init__(*(finding.rule for finding in findings))
        self.findings = findings


class WrongStage(Refused):
    """The step does not fit the facts."""


class ProofRequired(Refused):
    """A change of recovery data needs a proof of an existing method first (S1)."""


class UnusableAddress(Refused):
    """`why`: `malformed`, `same_sign_in` (behind the sign-in that it should recover), `shared` (by too many
    people), `registered` (by this person already), `too_many` (of one kind).
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class UnusableNumber(UnusableAddress):
    """`why`, besides those of an address: `no_country` (none was typed), `country` (there is none such),
    `too_short`, `too_long`, `unassigned`, `costly` (to call or text), `not_mobile`, `extension` (of a
    mobile), `not_allowed` (by the budgets' countries), `not_in_directory` (an office phone).
    """


class UnusableAnswers(Refused):
    """`why`: `question` (none, too long, or not to be chosen), `link` (in a question), `length` (of an
    answer), `same_question`, `same_answer`, `in_question` (the question tells the answer).
    """

    def __init__(self, why: str, at: int) -> None:
        super().__init__(why, at)
        self.why = why
        self.at = at
        """Which question, from 0."""


class LastMethod(Refused):
    """Removing this would leave less than the policy asks."""


class Failed(FlowError):
    """Something broke: a generic sentence and a reference number."""


class MessageNotSent(Failed):
    """The next server did not take it; `permanent` if it never will, `unreachable` if nobody is there."""

    def __init__(self, *, permanent: bool = False, unreachable: bool = False) -> None:
        super().__init__(permanent, unreachable)
        self.permanent = permanent or unreachable
        self.unreachable = unreachable


class PasswordNotWritten(Failed):
    """The directory refused for a reason that is not the person's."""


class NotUnlocked(Failed):
    """The directory refused to end the lock for a reason that is not the person's."""


class NotPossible(Failed):
    """`why`: `disabled`, `privileged`, `too_young`, `cannot_change`, `not_covered`, `frozen`,
    `locked` (a change only).
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class HelpRefused(Failed):
    """An administrator may not help in this way; told to the administrator only.

    `why`: `unknown`, `disabled`, `privileged`, `cannot_force` (the directory cannot ask for a change),
    `no_way` (nothing is registered that could prove who it is), `not_covered` (no rule lists it).
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class OutcomeIsUnknown(Failed):
    """The write was sent and its answer lost; never reported as failure (rule 3)."""


class NotReachable(Failed):
    """What keeps this person's password does not answer; told after the first proof, which counts (S4)."""


class Unavailable(Failed):
    """A part that we need does not answer; nothing was changed."""
