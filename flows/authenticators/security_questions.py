"""Security questions: several that somebody chose and answered earlier; some of them are asked, all must fit.

Weak by nature: others know or find the answers. They never come first, never stand alone and are off unless
a rule lists them.

Source: OWASP ASVS 5.0, 6.4.2 and NIST SP 800-63B-4 section 3.1.1.2, which both advise against them.
"""

import datetime as dt
import json
import re
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from flows.authenticators.base import Prepared, Question, Unsent, Waiting, Wish
from flows.authenticators.question_topics import TOPICS
from flows.errors import CodeExpired, UnusableAnswers
from flows.hashing import Hashing
from flows.registering.binding import require_room
from flows.registering.member import NewQuestions
from flows.settings import QuestionSettings
from store.authenticators import Authenticator
from store.database import Transaction

NAME = "security_questions"
SHORTEST_ANSWER, LONGEST_ANSWER = 3, 40
SHORTEST_QUESTION, LONGEST_QUESTION = 3, 200
_LONGEST_TYPED = 16 << 10
_MOST = 5
# Security: what stands in a question is shown to others; nothing in it may become a link (S24).
_LINK_LIKE = re.compile(r"[@/\\:<>]|\w\.\w")


@dataclass(frozen=True, slots=True)
class Topic:
    """One question: of the list, or in the person's own words."""

    topic: str = ""
    """One of `TOPICS`, or empty."""
    text: str = ""
    """The person's or the organisation's words; empty for one of the list."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """One question with its answer's hash."""

    id: str
    question: Topic
    hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Set:
    """What is kept."""

    questions: tuple[_Answered, ...]
    asked: tuple[str, ...] = ()
    """Ids of those that are asked until they are answered right, in whatever attempt (S16)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question on a page."""

    id: str
    topic: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class _Checked:
    """What became of an answer before the transaction."""

    right: bool
    asked: tuple[str, ...] = ()


_SET = TypeAdapter(_Set)
_ASKED = TypeAdapter(tuple[Asked, ...])
_CHECKED = TypeAdapter(_Checked)


class SecurityQuestions(Unsent):
    """The secret is a set as JSON; an answer is a JSON list, in the order in which was asked."""

    name = NAME
    may_be_first = False

    def __init__(self, settings: QuestionSettings, hashing: Hashing) -> None:
        self._settings = settings
        self._hashing = hashing

    def ask(self, question: Question, transaction: Transaction, *, now: dt.datetime) -> str:
        """Choose some at random, unless some were chosen earlier and never answered."""
        del now
        candidates = question.candidates()
        if not candidates:
            return ""
        changed = transaction.authenticators.change_secret(candidates[0].id, self._chosen)
        return _ASKED.dump_json(_asked(_SET.validate_json(changed.secret))).decode() if changed else ""

    def work_out(self, question: Question, answer: str) -> str:
        """Hash what was typed, outside every transaction."""
        candidates = question.candidates()
        known = _SET.validate_json(candidates[0].secret) if candidates else _Set(())
        asked = tuple(each.id for each in _ASKED.validate_json(question.asked or "[]"))
        typed = [normalised(each) for each in _texts(answer)]
        hashes = {each.id: each.hash for each in known.questions}
        if not asked or len(typed) != len(asked) or not hashes.keys() >= set(asked):
            return _CHECKED.dump_json(_Checked(right=False)).decode()
        fits = self._hashing.matching(typed, [hashes[each] for each in asked])
        return _CHECKED.dump_json(_Checked(all(fits), asked)).decode()

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the set whose questions were all answered right, and let others be asked next time.

        Takes what `work_out` returned.
        """
        checked = _CHECKED.validate_json(answer)
        candidates = question.candidates()
        if not checked.right or not candidates:
            return ()
        if not transaction.spent.spend(NAME, question.bound_to, now=now):
            raise CodeExpired
        newest = transaction.authenticators.get(candidates[0].id)
        if newest is None or _SET.validate_json(newest.secret).asked != checked.asked:
            return ()
        transaction.authenticators.change_secret(candidates[0].id, _forgotten)
        return (candidates[0].id,)

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return nothing yet: questions and answers are typed on the next page."""
        del now
        require_room(self.name, wish.own)
        return Prepared(b"")

    def shown(self, waiting: Waiting, wish: Wish) -> NewQuestions:
        """Return what may be chosen."""
        del waiting, wish
        chosen = self._settings
        return NewQuestions(chosen.to_register, chosen.topics or TOPICS, chosen.further, chosen.own)

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return the set, where every question and every answer may be kept.

        The answer is JSON: a list of pairs, a question as `topic:NAME` or in words, and its answer.

        Raises:
            UnusableAnswers: With what is wrong with which of them.
            Unavailable: Too many hash at once.
        """
        del waiting, now
        pairs = [(self._question(at, typed), answer) for at, (typed, answer) in enumerate(_pairs(answer))]
        if len(pairs) < self._settings.to_register:
            raise UnusableAnswers("question", len(pairs))
        _require_different(pairs)
        hashes = self._hashing.hashed([normalised(typed) for _question, typed in pairs])
        answered = [
            _Answered(secrets.token_hex(8), question, hashed)
            for (question, _typed), hashed in zip(pairs, hashes, strict=True)
        ]
        return _SET.dump_json(_Set(tuple(answered)))

    def voids(self, own: tuple[Authenticator, ...], *, proved: bool) -> tuple[Authenticator, ...]:
        """Return the earlier set; without a proof of an existing method it stays (S1)."""
        return tuple(each for each in own if each.kind == NAME and proved)

    def _question(self, at: int, typed: str) -> Topic:
        kind, _colon, name = typed.partition(":")
        if kind == "topic" and name in (self._settings.topics or TOPICS):
            return Topic(topic=name)
        text = clean_question(typed)
        if text in self._settings.further:
            return Topic(text=text)
        if not self._settings.own or not SHORTEST_QUESTION <= len(text) <= LONGEST_QUESTION:
            raise UnusableAnswers("question", at)
        if _LINK_LIKE.search(text):
            raise UnusableAnswers("link", at)
        return Topic(text=text)

    def _chosen(self, secret: bytes) -> bytes:
        known = _SET.validate_json(secret)
        if known.asked:
            return secret
        ids = [each.id for each in known.questions]
        count = min(self._settings.to_reset, len(ids))
        return _SET.dump_json(replace(known, asked=tuple(secrets.SystemRandom().sample(ids, count))))


def normalised(answer: str) -> str:
    """Return an answer as it is compared: NFKC, without regard to case, blanks as one."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", answer).casefold())
    return " ".join("".join(each for each in folded if unicodedata.category(each) != "Cf").split())


def clean_question(typed: str) -> str:
    """Return a question in somebody's own words: one line without control characters."""
    kept = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in typed[:_LONGEST_TYPED])
    return " ".join(unicodedata.normalize("NFC", kept).split())


def _require_different(pairs: Sequence[tuple[Topic, str]]) -> None:
    questions: set[str] = set()
    answers: set[str] = set()
    for at, (question, typed) in enumerate(pairs):
        answer, asked = normalised(typed), question.topic or normalised(question.text)
        if asked in questions:
            raise UnusableAnswers("same_question", at)
        if not SHORTEST_ANSWER <= len(answer) <= LONGEST_ANSWER:
            raise UnusableAnswers("length", at)
        if answer in answers:
            raise UnusableAnswers("same_answer", at)
        if answer in normalised(question.text):
            raise UnusableAnswers("in_question", at)
        questions.add(asked)
        answers.add(answer)


def _asked(known: _Set) -> tuple[Asked, ...]:
    by_id = {each.id: each.question for each in known.questions}
    return tuple(Asked(each, by_id[each].topic, by_id[each].text) for each in known.asked)


def _forgotten(secret: bytes) -> bytes:
    return _SET.dump_json(replace(_SET.validate_json(secret), asked=()))


def _texts(answer: str) -> list[str]:
    try:
        given = json.loads(answer[:_LONGEST_TYPED])
    except (ValueError, RecursionError):
        return []
    return [each for each in given if isinstance(each, str)] if isinstance(given, list) else []


def _pairs(answer: str) -> list[tuple[str, str]]:
    try:
        given = json.loads(answer[:_LONGEST_TYPED])
    except (ValueError, RecursionError):
        return []
    pairs = given if isinstance(given, list) else []
    return [
        (pair[0], pair[1])
        for pair in pairs[:_MOST]
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
    ]
