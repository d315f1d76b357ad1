"""Passkeys and security keys: a signature over a challenge, made after the device checked who holds it.

Our passkeys share their host with the identity provider's own. Every binding gets a user handle of its own,
so that none of the provider's is ever overwritten, and asks not to be kept in the device's list (S3).

Source: W3C Web Authentication Level 3, sections 7.1 and 7.2.
"""

import base64
import datetime as dt
import json
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import TypeAdapter
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import encode_cbor
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from flows.authenticators.base import Prepared, Question, Unsent, Waiting, Wish
from flows.errors import CodeExpired
from flows.registering.binding import require_room
from flows.registering.member import NewPasskey
from store.audit import AuditAction
from store.authenticators import Authenticator
from store.database import Transaction

NAME = "passkey"
LONGEST_NAME = 40
_CHALLENGE_BYTES = 32
_HANDLE_BYTES = 32
_LONGEST_ANSWER = 16 << 10
_WAIT_MILLISECONDS = 5 * 60 * 1000
_TRANSPORTS = {each.value: each for each in AuthenticatorTransport}


@dataclass(frozen=True, slots=True)
class Passkey:
    """What is kept of one; nothing in it opens anything."""

    id: str
    """The credential's, in Base64url."""
    public_key: str
    """COSE, in Base64url."""
    count: int
    """The newest signature counter; 0 for devices that do not count."""
    name: str
    """As the person calls it; may be empty."""
    transports: tuple[str, ...] = ()
    """How the device is reached, as far as it says."""


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a binding waits with."""

    challenge: str = field(repr=False)
    user_handle: str


_JSON = TypeAdapter(Passkey)
_BEGUN = TypeAdapter(_Begun)


class Passkeys(Unsent):
    """The secret is a `Passkey` as JSON."""

    name = NAME

    def __init__(self, *, portal: str, organisation: str) -> None:
        """Take the address of our own pages, and the name that devices show."""
        parts = urlsplit(portal)
        self._host = parts.hostname or ""
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._organisation = organisation
        self._decoy_key = _new_key()

    def mask(self, secret: bytes) -> str:
        """Return the name that its owner gave it."""
        return _JSON.validate_json(secret).name

    def ask(self, question: Question, transaction: Transaction, *, now: dt.datetime) -> str:
        """Return the options for `navigator.credentials.get`.

        Without candidates they name no credential: the device then offers those in its own list.
        """
        del transaction, now
        options = generate_authentication_options(
            rp_id=self._host,
            challenge=secrets.token_bytes(_CHALLENGE_BYTES),
            timeout=_WAIT_MILLISECONDS,
            allow_credentials=_descriptors(question.candidates()),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return options_to_json(options)

    def prove(
        self, question: Question, answer: str, transaction: Transaction, *, now: dt.datetime
    ) -> tuple[str, ...]:
        """Return the one passkey that signed, and use the challenge up; see `Kind.prove`."""
        given = _object(answer)
        candidates = {_JSON.validate_json(each.secret).id: each for each in question.candidates()}
        signer = candidates.get(str(given.get("id", "")))
        challenge = str(_object(question.asked).get("challenge", ""))
        # Security: a decoy verifies a signature too.
        key = _bytes(_JSON.validate_json(signer.secret).public_key) if signer else self._decoy_key
        count = self._verified(given, challenge, key)
        if signer is None or count is None:
            return ()
        if not transaction.spent.spend(NAME, f"{question.bound_to}:{challenge}", now=now):
            raise CodeExpired
        if not _count_on(transaction, signer.id, count):
            _record_copy(transaction, signer, now)
            return ()
        return (signer.id,)

    def prepare(self, wish: Wish, *, now: dt.datetime) -> Prepared:
        """Return a new challenge and a new user handle."""
        del now
        require_room(self.name, wish.own)
        challenge, handle = secrets.token_bytes(_CHALLENGE_BYTES), secrets.token_bytes(_HANDLE_BYTES)
        return Prepared(_BEGUN.dump_json(_Begun(_text(challenge), _text(handle))))

    def shown(self, waiting: Waiting, wish: Wish) -> NewPasskey:
        """Return the options for `navigator.credentials.create`."""
        begun = _BEGUN.validate_json(waiting.secret)
        options = generate_registration_options(
            rp_id=self._host,
            rp_name=self._organisation,
            user_name=wish.username,
            user_id=_bytes(begun.user_handle),
            challenge=_bytes(begun.challenge),
            timeout=_WAIT_MILLISECONDS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.DISCOURAGED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors([each for each in wish.own if each.kind == NAME]),
        )
        return NewPasskey(options_to_json(options))

    def kept(self, waiting: Waiting, answer: str, *, now: dt.datetime) -> bytes | None:
        """Return the passkey where the device made one for this very challenge.

        The answer is JSON: `credential` as the browser states it, and the `name` as typed.
        """
        del now
        given = _object(answer)
        challenge = _BEGUN.validate_json(waiting.secret).challenge
        try:
            made = verify_registration_response(
                credential=_mapping(given.get("credential")),
                expected_challenge=_bytes(challenge),
                expected_rp_id=self._host,
                expected_origin=self._origin,
                require_user_verification=True,
            )
        except Exception:  # noqa: BLE001 - whatever a stranger's bytes make the parsers raise
            return None
        return _JSON.dump_json(
            Passkey(
                id=_text(made.credential_id),
                public_key=_text(made.credential_public_key),
                count=made.sign_count,
                name=clean_name(str(given.get("name", ""))),
                transports=_transports(_mapping(_mapping(given.get("credential")).get("response"))),
            )
        )

    def _verified(self, given: dict[str, Any], challenge: str, key: bytes) -> int | None:
        """Return the signature counter of a good answer, else None."""
        try:
            return verify_authentication_response(
                credential=given,
                expected_challenge=_bytes(challenge),
                expected_rp_id=self._host,
                expected_origin=self._origin,
                credential_public_key=key,
                # Compared by `_count_on` with the newest one.
                credential_current_sign_count=0,
                require_user_verification=True,
            ).new_sign_count
        except Exception:  # noqa: BLE001 - whatever a stranger's bytes make the parsers raise
            return None


def clean_name(typed: str) -> str:
    """Return a passkey's name as it is shown: one line, no control characters, at most 40 letters."""
    plain = unicodedata.normalize("NFC", typed[: 4 * LONGEST_NAME])
    kept = "".join(letter for letter in plain if unicodedata.category(letter)[0] != "C" or letter == " ")
    return " ".join(kept.split())[:LONGEST_NAME]


def _new_key() -> bytes:
    """Return a public key as COSE, whose private half is forgotten at once."""
    public = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    # Source: RFC 9053 section 7.1.1: kty 2 (EC2), alg -7 (ES256), crv 1 (P-256), x, y.
    return encode_cbor({1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)})


def _count_on(transaction: Transaction, authenticator_id: str, count: int) -> bool:
    """Keep the newest counter; False where it did not grow: somebody may hold a copy.

    Source: Web Authentication section 6.1.1. Devices that do not count always state 0.
    """
    grew: list[bool] = []

    def counted(secret: bytes) -> bytes:
        newest = _JSON.validate_json(secret)
        grew.append(count > newest.count or count == newest.count == 0)
        return _JSON.dump_json(replace(newest, count=max(count, newest.count)))

    return transaction.authenticators.change_secret(authenticator_id, counted) is not None and grew[-1]


def _record_copy(transaction: Transaction, passkey: Authenticator, now: dt.datetime) -> None:
    transaction.audit.record(
        AuditAction.PASSKEY_COPIED, now=now, person_id=passkey.person_id, detail={"number": passkey.number}
    )


def _descriptors(own: Sequence[Authenticator]) -> list[PublicKeyCredentialDescriptor]:
    passkeys = [_JSON.validate_json(each.secret) for each in own]
    return [
        PublicKeyCredentialDescriptor(
            id=_bytes(each.id), transports=[_TRANSPORTS[way] for way in each.transports]
        )
        for each in passkeys
    ]


def _transports(response: dict[str, Any]) -> tuple[str, ...]:
    stated = response.get("transports")
    known = [each for each in stated if each in _TRANSPORTS] if isinstance(stated, list) else []
    return tuple(dict.fromkeys(known))


def _object(text: str) -> dict[str, Any]:
    """Return a JSON object, empty where it is none."""
    try:
        return _mapping(json.loads(text[:_LONGEST_ANSWER]))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
