"""One question to a signed-in person that waits for its answer: a binding or a step-up proof."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from flows import verification_code
from flows.authenticators.base import Waiting
from flows.errors import AttemptExpired, CodeExpired, WrongCode
from flows.ids import new_id, new_reference
from flows.records import Records
from flows.registering.member import Member
from flows.settings import LimitSettings
from idp_plugin.base import Subject
from store.expiring import Expiring
from store.vault import Vault

APP_LIVES = dt.timedelta(minutes=15)
"""How long a new seed waits for its first code: the app may have to be installed first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The facts of one question."""

    id: str = field(repr=False)
    purpose: Literal["bind", "prove"]
    reference: str
    subject: Subject
    session: str = field(repr=False)
    """Digest of the portal session that it was asked in; it is answered in no other."""
    kind: str
    secret: str = field(default="", repr=False)
    """For a binding what is to be bound, in hexadecimal."""
    way: str = ""
    """The channel by which a code left; empty where none did."""
    asked: str = field(default="", repr=False)
    """For a proof what `Kind.ask` returned."""
    authenticator_id: str = ""
    """For a proof what is to be proved."""
    code_digest: str = field(default="", repr=False)
    """Empty where no code was sent."""
    asked_at: dt.datetime
    expires_at: dt.datetime
    answers_allowed: int
    wrong_answers: int = 0
    answered: bool = False
    lost: bool = False
    """The person says that nothing registered can be used any more (S1)."""
    replaces: str = ""
    """Authenticator that goes when this one comes."""

    @property
    def secret_bytes(self) -> bytes:
        """The secret as the authenticators keep it."""
        return bytes.fromhex(self.secret)


class Questions:
    """Open questions in the expiring store; each is answered once."""

    def __init__(self, *, expiring: Expiring, vault: Vault, limits: LimitSettings) -> None:
        self._records = Records(expiring, "question", Question)
        self._vault = vault
        self._limits = limits

    def ask(
        self,
        member: Member,
        purpose: Literal["bind", "prove"],
        kind: str,
        *,
        now: dt.datetime,
        sends_code: bool,
        secret: bytes = b"",
        way: str = "",
        asked: str = "",
        authenticator_id: str = "",
        lost: bool = False,
        replaces: str = "",
    ) -> tuple[Question, str]:
        """Open a question.

        Returns:
            The question, and the code that has to be sent; empty without `sends_code`.
        """
        question_id = new_id()
        code = verification_code.new_code() if sends_code else ""
        lives = dt.timedelta(minutes=self._limits.code_minutes) if sends_code else APP_LIVES
        question = Question(
            id=question_id,
            purpose=purpose,
            reference=new_reference(),
            subject=member.subject,
            session=self._vault.digest(member.session, "portal session"),
            kind=kind,
            secret=secret.hex(),
            way=way,
            asked=asked,
            authenticator_id=authenticator_id,
            code_digest=self._digest(code, question_id, kind) if code else "",
            asked_at=now,
            expires_at=now + lives,
            answers_allowed=self._limits.wrong_answers,
            lost=lost,
            replaces=replaces,
        )
        self._records.create(question_id, question, ttl=lives)
        return question, code

    def read(
        self,
        member: Member,
        question_id: str,
        *,
        now: dt.datetime,
        purpose: Literal["bind", "prove", ""] = "",
    ) -> Question:
        """Return an open question of this person in this portal session, of any purpose or of one.

        Raises:
            AttemptExpired: None such, answered, or too many wrong answers.
            CodeExpired: Too old.
        """
        question = self._records.read(question_id)
        if question is None or question.subject != member.subject:
            raise AttemptExpired
        if purpose and question.purpose != purpose:
            raise AttemptExpired
        if not self._vault.digest_matches(member.session, "portal session", question.session):
            raise AttemptExpired
        _require_open(question)
        if question.expires_at <= now:
            raise CodeExpired
        return question

    def matches(self, question: Question, answer: str) -> bool:
        """Compare an answer with the code that was sent."""
        stored = question.code_digest
        return verification_code.matches(
            self._vault, answer, stored, bound_to=question.id, kind=question.kind
        )

    def waiting(self, question: Question) -> Waiting:
        """Return a binding as its kind sees it."""
        return Waiting(
            question.id,
            question.secret_bytes,
            question.asked_at,
            lambda answer: bool(question.code_digest) and self.matches(question, answer),
        )

    def wrong(self, question: Question) -> WrongCode:
        """Count a wrong answer and return the refusal to raise."""
        changed = self._change(question, lambda facts: replace(facts, wrong_answers=facts.wrong_answers + 1))
        return WrongCode(changed.answers_allowed - changed.wrong_answers)

    def close(self, question: Question) -> None:
        """Take the question away: of several right answers at once, one closes it.

        Raises:
            AttemptExpired: Another answer did.
        """
        # Security: what was to be bound is not kept longer than it is needed.
        self._change(question, lambda facts: replace(facts, answered=True, secret=""))

    def _change(self, question: Question, function: Callable[[Question], Question]) -> Question:
        def change(facts: Question) -> Question:
            _require_open(facts)
            return function(facts)

        return self._records.change(question.id, change)

    def _digest(self, code: str, question_id: str, kind: str) -> str:
        return verification_code.digest(self._vault, code, bound_to=question_id, kind=kind)


def _require_open(question: Question) -> None:
    if question.answered or question.wrong_answers >= question.answers_allowed:
        raise AttemptExpired
