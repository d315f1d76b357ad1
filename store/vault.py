"""The key ring: sealing at rest, keyed digests, and keys for signatures.

Every key on the ring is a root; nothing is ever sealed or signed with a root itself. Subkeys come from
HKDF-SHA-256 (RFC 5869) with the purpose as info, so that a digest made for one purpose says nothing
about another and no seal can be mistaken for a signature.
"""

import hmac
import secrets
from collections.abc import Sequence
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.errors import SealBroken, StoreMisconfigured

KEY_BYTES = 32
_FORMAT = b"\x01"
_KEY_ID_BYTES = 4
_SALT_BYTES = 16
_NONCE_BYTES = 12
_HEADER_BYTES = len(_FORMAT) + _KEY_ID_BYTES


def seal_with(key: bytes, plain: bytes, context: str) -> bytes:
    """Seal bytes under a key of the caller's own, bound to `context`.

    Args:
        key: 32 random bytes.
        context: Where the value belongs; opening it for any other place fails.

    Returns:
        16 bytes of salt, 12 of nonce, then the ciphertext with its tag.
    """
    # Security: a fresh subkey per value keeps random nonces far from the 2^32 limit of one AES-GCM key
    # (NIST SP 800-38D section 8.3).
    salt = secrets.token_bytes(_SALT_BYTES)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return salt + nonce + AESGCM(_value_key(key, salt)).encrypt(nonce, plain, _bytes(context))


def open_with(key: bytes, sealed: bytes, context: str) -> bytes:
    """Open what `seal_with` sealed under the same key and context.

    Raises:
        SealBroken: Another key, another context, or altered bytes.
    """
    salt, rest = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
    nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    try:
        return AESGCM(_value_key(key, salt)).decrypt(nonce, ciphertext, _bytes(context))
    except (InvalidTag, ValueError) as error:
        raise SealBroken from error


def _bytes(text: str) -> bytes:
    # Security: lone surrogates come with hostile input; they must neither raise nor equal anything else.
    return text.encode("utf-8", "surrogatepass")


def _value_key(key: bytes, salt: bytes) -> bytes:
    return hmac.digest(key, salt, "sha256")


class Vault:
    """Seals with the first key, opens with every one of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the ring, newest key first; 32 random bytes each.

        Raises:
            StoreMisconfigured: No key, one of another length, or one listed twice.
        """
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise StoreMisconfigured("vault.keys")
        self._keys = tuple(keys)
        self._by_id = {_subkey(key, "key id")[:_KEY_ID_BYTES]: key for key in self._keys}
        if len(self._by_id) != len(self._keys):
            raise StoreMisconfigured("vault.keys")
        self._header = _FORMAT + next(iter(self._by_id))

    def __repr__(self) -> str:
        return f"Vault({len(self._keys)} keys)"

    def seal(self, plain: bytes, context: str) -> bytes:
        """Seal bytes for one place, for example `authenticator:<id>`; that place alone opens them."""
        return self._header + seal_with(_subkey(self._keys[0], "seal"), plain, context)

    def open(self, sealed: bytes, context: str) -> bytes:
        """Open what `seal` made for the same place, under any key of the ring.

        Raises:
            SealBroken: The key is not on the ring, the context differs, or bytes were altered.
        """
        header, body = sealed[:_HEADER_BYTES], sealed[_HEADER_BYTES:]
        key = self._by_id.get(header[len(_FORMAT) :])
        if key is None or not header.startswith(_FORMAT):
            raise SealBroken
        return open_with(_subkey(key, "seal"), body, context)

    def needs_reseal(self, sealed: bytes) -> bool:
        """Tell whether a value was sealed under another key than the newest."""
        return not sealed.startswith(self._header)

    def digest(self, value: str | bytes, purpose: str) -> str:
        """Return the keyed digest (HMAC-SHA-256, 64 hex digits) of a value for one purpose.

        Made with the newest key: a stored digest is compared by `digest_matches` and looked up by
        `digests`, so that a rotation loses nothing while the old key stays on the ring.
        """
        return _digest(self._keys[0], value, purpose)

    def digests(self, value: str | bytes, purpose: str) -> tuple[str, ...]:
        """Return the digest under every key of the ring, newest first: what a look-up must try."""
        return tuple(_digest(key, value, purpose) for key in self._keys)

    def digest_matches(self, value: str | bytes, purpose: str, digest: str) -> bool:
        """Compare in constant time with a digest made under any key of the ring."""
        given = digest.encode()
        # Security: every key is tried, whichever matches, so that time tells nothing.
        return sum(hmac.compare_digest(own.encode(), given) for own in self.digests(value, purpose)) > 0

    def signing_key(self, purpose: str) -> bytes:
        """Return 32 bytes for signatures of one purpose; they change when a new key is put first."""
        return _subkey(self._keys[0], f"sign:{purpose}")

    def verifying_keys(self, purpose: str) -> tuple[bytes, ...]:
        """Return the signing keys of every key of the ring, newest first."""
        return tuple(_subkey(key, f"sign:{purpose}") for key in self._keys)


def _digest(key: bytes, value: str | bytes, purpose: str) -> str:
    message = _bytes(value) if isinstance(value, str) else value
    return hmac.digest(_subkey(key, f"digest:{purpose}"), message, "sha256").hex()


@lru_cache(maxsize=256)
def _subkey(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"sparekey/{purpose}".encode()).derive(key)
