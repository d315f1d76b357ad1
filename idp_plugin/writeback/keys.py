"""Keys of gateway and agents: Ed25519 signs, X25519 opens; everything signed is a compact JWS.

Source: RFC 7515 (JWS), RFC 8037 (Ed25519 and X25519 in JOSE), RFC 7638 (thumbprints), RFC 7748 section 6.1.
"""

import base64
import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

_ALGORITHM = "Ed25519"
_MOST_STATEMENTS = 32
_UNREADABLE = (JoseError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What the library makes of garbage; `"crit": 5` in a header is a TypeError."""
Claims = dict[str, Any]


class Untrusted(Exception):
    """A signature, seal or statement that proves nothing; `why` is for the log and holds nothing secret."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def json_object(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object that a stranger may have written.

    Raises:
        Untrusted: It is none.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        # Security: brackets in brackets must end a reader no more than a missing one does.
        raise Untrusted("form") from error
    if not isinstance(found, dict):
        raise Untrusted("form")
    return found


def new_signing_key() -> OKPKey:
    """Return a fresh Ed25519 key."""
    return OKPKey.generate_key("Ed25519")


def new_sealing_key() -> OKPKey:
    """Return a fresh X25519 key; what was sealed to it opens for nobody once it is forgotten."""
    return OKPKey.generate_key("X25519")


def signing_key_from(seed: bytes) -> OKPKey:
    """Return the Ed25519 key of 32 secret bytes."""
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed))


def public_text(key: OKPKey) -> str:
    """Return the public half as it is stored, sent and compared: curve and 32 bytes in Base64url."""
    public = key.as_dict(private=False)
    return f"{public['crv']}:{public['x']}"


def private_text(key: OKPKey) -> str:
    """Return the private half, for the owner's own disk."""
    return f"{key.curve_name}:{key.as_dict(private=True)['d']}"


def public_key(text: str, curve: str) -> OKPKey:
    """Read `public_text`.

    Raises:
        Untrusted: Not a key of this curve.
    """
    found, _, x = text.partition(":")
    return _imported({"kty": "OKP", "crv": found, "x": x}, curve)


def private_key(text: str, public: str, curve: str) -> OKPKey:
    """Read `private_text` with its `public_text`.

    Raises:
        Untrusted: They are no pair of keys.
    """
    found, _, x = public.partition(":")
    _, _, d = text.partition(":")
    return _imported({"kty": "OKP", "crv": found, "x": x, "d": d}, curve)


def _imported(value: Mapping[str, str], curve: str) -> OKPKey:
    if value["crv"] != curve or curve not in {"Ed25519", "X25519"}:
        raise Untrusted("key")
    try:
        key = OKPKey.import_key(dict(value))
        if curve == "X25519" and not key.is_private:
            # Security: a point of low order makes a secret that everybody knows, and sealing to it fails.
            X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(_bytes(value["x"])))
    except (JoseError, ValueError) as error:
        raise Untrusted("key") from error
    return key


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sign(purpose: str, claims: Mapping[str, Any], key: OKPKey) -> str:
    """Return a compact JWS.

    Args:
        purpose: What this is; `verify` for any other purpose refuses it.
        claims: JSON values.
        key: An Ed25519 key.
    """
    header = {"alg": _ALGORITHM, "typ": f"sparekey-{purpose}"}
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=[_ALGORITHM])


def verify(purpose: str, token: str, key: OKPKey) -> Claims:
    """Return what was signed with this key for this purpose.

    Raises:
        Untrusted: Another key, another purpose, or altered.
    """
    try:
        found = jws.deserialize_compact(token, key, algorithms=[_ALGORITHM])
    except _UNREADABLE as error:
        raise Untrusted("signature") from error
    # Security: what was signed as one thing never passes for another.
    if found.headers().get("typ") != f"sparekey-{purpose}":
        raise Untrusted("purpose")
    return json_object(found.payload)


def unverified(token: str) -> Claims:
    """Return what a token says before anybody vouches for it: only to learn whose key to ask for.

    Raises:
        Untrusted: Not a JWS of JSON.
    """
    try:
        payload = jws.extract_compact(token.encode()).payload
    except _UNREADABLE as error:
        raise Untrusted("form") from error
    return json_object(payload)


def succession(old: OKPKey, new: OKPKey) -> str:
    """Return the old key's word that the new one speaks for its owner from now on (S20)."""
    return sign("successor", {"key": public_text(new)}, old)


def verify_or_succeeded(
    purpose: str, token: str, statements: Sequence[str], pinned: OKPKey
) -> tuple[Claims, OKPKey]:
    """Return what was signed, and the key that did: the pinned one, or one that it leads to.

    Args:
        purpose: As `verify`.
        token: What was signed.
        statements: `succession`s, oldest first; those of no use are passed over.
        pinned: The key that is believed.

    Raises:
        Untrusted: None of these keys signed the token.
    """
    # Security: who is named must have signed this very token, so that a statement that somebody kept
    # cannot bring an old key back.
    keys = [pinned]
    # Security: strangers send statements too, and each costs a verification.
    for statement in statements[-_MOST_STATEMENTS:]:
        with contextlib.suppress(Untrusted):
            keys.append(_successor(statement, keys[-1]))
    for key in keys:
        with contextlib.suppress(Untrusted):
            return verify(purpose, token, key), key
    raise Untrusted("signature")


def _successor(statement: str, old: OKPKey) -> OKPKey:
    return public_key(str(verify("successor", statement, old).get("key")), "Ed25519")
