"""One row for each kind of authenticator: what a person has bound, and how they prove it."""

import datetime as dt
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from flows import verification_code
from flows.authenticators import recovery_codes, totp
from flows.authenticators.base import Kinds, Waiting, Wish
from flows.authenticators.linked_identity import LinkedIdentity, sealed_answer
from flows.authenticators.passkey import Passkeys
from flows.authenticators.question_topics import TOPICS
from flows.authenticators.registry import all_kinds
from flows.authenticators.security_questions import SecurityQuestions
from flows.hashing import Hashing
from flows.help.helpdesk_codes import Issued, IssuedCodes, binding
from flows.settings import QuestionSettings
from store.expiring import Expiring
from store.vault import Vault
from tests.servers import presence
from tests.servers.security_key import SecurityKey

NOW = dt.datetime(2026, 11, 22, 9, 0, tzinfo=dt.UTC)
VAULT = Vault([b"k" * 32])
ORIGIN = "https://sso.example.org"
PORTAL = f"{ORIGIN}/sparekey"
REFERENCE = "7K2M-PQ4D"
_SEED = totp.new_seed()
_CODES = recovery_codes.new_codes()
_ANSWERS = ("Utrecht", "Saint-Étienne", "the blue one", "Straße 12", "Ömer")
_SIGNED_IN = sealed_answer(
    VAULT, LinkedIdentity("University", "https://login.example.edu", "4711"), bound_to="attempt", now=NOW
)
_KEY = SecurityKey(ORIGIN, "sso.example.org")


@dataclass(frozen=True)
class Row:
    """One authenticator of a kind."""

    secret: bytes
    answer: Callable[[str], str]
    """From what was asked to what its owner answers."""
    mask: str = ""
    is_typed: bool = True
    """Whether the answer may be typed in groups."""
    hand_out: Callable[[IssuedCodes, str], None] | None = None
    """For kinds that are never registered: hands the answer out to a person."""


def kinds(expiring: Expiring) -> Kinds:
    """Every kind, as the gateway has it."""
    issued = IssuedCodes(expiring)
    return all_kinds(VAULT, organisation="Example Company", portal=PORTAL, issued=issued)


def _hand_out(issued: IssuedCodes, person_id: str) -> None:
    bound_to = binding(person_id, "reset", REFERENCE)
    digest = verification_code.digest(VAULT, "012345", bound_to=bound_to, kind="helpdesk_code")
    code = Issued("id", digest, "reset", REFERENCE, "frank", NOW + dt.timedelta(minutes=15))
    issued.keep(person_id, code)


def _oathtool() -> str:
    """What an app would show: by a generator that has no line in common with ours."""
    program = presence.program("oathtool", package="oathtool")
    command = [program, "--totp", "--base32", f"--now={NOW:%F %T UTC}", totp.base32(_SEED)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _passkey() -> bytes:
    """What is kept of a passkey that was really made."""
    kind = Passkeys(portal=PORTAL, organisation="Example Company")
    wish = Wish(
        person_id="1",
        username="jane",
        identity=lambda: None,
        own=(),
        rule=None,  # type: ignore[arg-type]  # nothing of it is read
        transaction=None,  # type: ignore[arg-type]
    )
    waiting = Waiting("1", kind.prepare(wish, now=NOW).secret, NOW, lambda _code: False)
    options = kind.shown(waiting, wish).options
    answer = json.dumps({"credential": _KEY.make(options), "name": "Blue key"})
    kept = kind.kept(waiting, answer, now=NOW)
    assert kept
    return kept


def _questions() -> bytes:
    """What is kept of three questions that were really answered."""
    kind = SecurityQuestions(QuestionSettings(), Hashing())
    pairs = [[f"topic:{topic}", answer] for topic, answer in zip(TOPICS, _ANSWERS, strict=False)]
    kept = kind.kept(Waiting("1", b"", NOW, lambda _code: False), json.dumps(pairs), now=NOW)
    assert kept
    return kept


def _answers(asked: str) -> str:
    """The right answers, as badly typed as is still right."""
    return json.dumps([f"  {_ANSWERS[TOPICS.index(each['topic'])].upper()} " for each in json.loads(asked)])


ROWS = {
    "email": Row(b"jane@home.example", lambda _asked: "012345", "j•••@h•••.example"),
    "mobile_phone": Row(b"+31612345678", lambda _asked: "012345", "+31 •••••• 78"),
    "office_phone": Row(b"+31201234567", lambda _asked: "012345", "+31 •••••• 67"),
    "totp": Row(_SEED, lambda _asked: _oathtool()),
    "passkey": Row(_passkey(), lambda asked: json.dumps(_KEY.sign(asked)), "Blue key", is_typed=False),
    "identity": Row(
        b'{"provider":"University","issuer":"https://login.example.edu","subject":"4711"}',
        lambda _asked: _SIGNED_IN,
        "University",
        is_typed=False,
    ),
    "helpdesk_code": Row(b"", lambda _asked: "012345", hand_out=_hand_out),
    "security_questions": Row(_questions(), _answers, is_typed=False),
    "recovery_codes": Row(recovery_codes.secret_of(_CODES), lambda _asked: _CODES[3]),
}
