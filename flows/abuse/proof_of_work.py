"""Work before an attempt starts: hashes by the browser, or waiting by the server's clock.

The browser looks for the number whose SHA-256 after `salt` is `challenge` (ALTCHA, version 1). Both kinds
of work are signed, bound to a purpose and to an address block, expire, and count once (S16).
"""

import base64
import binascii
import datetime as dt
import enum
import hmac
import json
import secrets
from typing import Any
from urllib.parse import parse_qs

from altcha.v1 import ChallengeOptions, create_challenge, verify_solution

from flows.abuse.throttle import Throttle, address_block
from flows.errors import TooSoon, WorkNotDone
from store.expiring import Expiring
from store.vault import Vault

LIVES = dt.timedelta(minutes=10)
TICKET_LIVES = dt.timedelta(minutes=10)
"""After the time at which a ticket becomes good."""
_TOLERANCE = 4
"""How much harder work may have become since it was handed out."""
_TICKET = "wait."
_LONGEST = 2048
_STORED_AS = "work"


class Way(enum.StrEnum):
    """How the work was done."""

    HASHES = "hashes"
    WAITED = "waited"


class ProofOfWork:
    """Hands work out and takes it back, once."""

    def __init__(self, *, vault: Vault, expiring: Expiring, throttle: Throttle) -> None:
        self._vault = vault
        self._expiring = expiring
        self._throttle = throttle

    def new_challenge(self, purpose: str, address: str, now: dt.datetime) -> dict[str, str | int]:
        """Return work for a browser.

        Returns:
            `algorithm` (always `SHA-256`), `challenge`, `salt`, `maxnumber`, `signature`. The answer is the
            Base64 of the JSON object with `algorithm`, `challenge`, `number`, `salt`, `signature`.
        """
        difficulty = self._throttle.work_difficulty(address, now)
        challenge = create_challenge(
            ChallengeOptions(
                algorithm="SHA-256",
                max_number=2 * difficulty,
                hmac_key=self._vault.signing_key("work"),
                expires=now + LIVES,
                params={"for": self._place(purpose, address), "hard": str(difficulty)},
            )
        )
        return {
            "algorithm": challenge.algorithm,
            "challenge": challenge.challenge,
            "salt": challenge.salt,
            "maxnumber": 2 * difficulty,
            "signature": challenge.signature,
        }

    def waiting_ticket(self, purpose: str, address: str, now: dt.datetime) -> str:
        """Return a ticket for a page without script: `accept` takes it once its time has come."""
        good_from = now + self._throttle.waiting(address, now)
        stated = {
            "for": self._place(purpose, address),
            "from": good_from.timestamp(),
            "until": (good_from + TICKET_LIVES).timestamp(),
            "once": secrets.token_urlsafe(16),
        }
        body = base64.urlsafe_b64encode(json.dumps(stated).encode()).decode()
        return f"{_TICKET}{body}.{self._vault.digest(body, 'ticket')}"

    def accept(self, work: str, purpose: str, address: str, now: dt.datetime) -> Way:
        """Take finished work, of either kind.

        Args:
            work: A ticket, or the browser's answer as `new_challenge` describes it.
            purpose: As it was handed out for.
            address: The client's; its block must be the one that it was handed out to.
            now: Aware UTC time.

        Raises:
            WorkNotDone: Missing, wrong, old, spent, or for another purpose or address block.
            TooSoon: A ticket whose time has not come; it can be shown again.
        """
        if len(work) > _LONGEST:
            raise WorkNotDone
        place = self._place(purpose, address)
        if work.startswith(_TICKET):
            self._take_ticket(work.removeprefix(_TICKET), place, now)
            return Way.WAITED
        self._take_hashes(work, place, self._throttle.work_difficulty(address, now), now)
        return Way.HASHES

    def _take_hashes(self, work: str, place: str, difficulty: int, now: dt.datetime) -> None:
        answer = _answer(work)
        stated = parse_qs(answer["salt"].partition("?")[2])
        if stated.get("for") != [place] or not self._is_solved(answer):
            raise WorkNotDone
        # Security: easy work that was hoarded in a quiet minute does not count in a busy one.
        if int(stated["hard"][0]) * _TOLERANCE < difficulty:
            raise WorkNotDone
        expires = dt.datetime.fromtimestamp(int(stated["expires"][0]), dt.UTC)
        self._use(answer["challenge"], expires, now)

    def _is_solved(self, answer: Any) -> bool:
        # A rotation of keys voids the work that is out; the page then hands out new work.
        return verify_solution(answer, self._vault.signing_key("work"), check_expires=False)[0]

    def _take_ticket(self, ticket: str, place: str, now: dt.datetime) -> None:
        body, _, signature = ticket.partition(".")
        if not self._vault.digest_matches(body, "ticket", signature):
            raise WorkNotDone
        stated = json.loads(base64.urlsafe_b64decode(body))
        if not hmac.compare_digest(stated["for"], place):
            raise WorkNotDone
        good_from = dt.datetime.fromtimestamp(stated["from"], dt.UTC)
        if now < good_from:
            raise TooSoon(good_from - now)
        self._use(stated["once"], dt.datetime.fromtimestamp(stated["until"], dt.UTC), now)

    def _use(self, once: str, expires: dt.datetime, now: dt.datetime) -> None:
        if expires <= now or not self._expiring.once(_STORED_AS, once, ttl=expires - now):
            raise WorkNotDone

    def _place(self, purpose: str, address: str) -> str:
        return self._vault.digest(f"{purpose}\n{address_block(address)}", "work place")[:32]


def _answer(work: str) -> dict[str, Any]:
    """Read a browser's answer, trusting nothing about it but its shape afterwards."""
    try:
        answer = json.loads(base64.b64decode(work, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise WorkNotDone from error
    texts = ("algorithm", "challenge", "salt", "signature")
    if not isinstance(answer, dict) or not all(isinstance(answer.get(name), str) for name in texts):
        raise WorkNotDone
    if answer["algorithm"] != "SHA-256" or type(answer.get("number")) is not int:
        raise WorkNotDone
    return answer
