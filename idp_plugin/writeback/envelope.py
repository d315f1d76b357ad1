"""Sealing to one key or several, so that only their owners open it: JWE with ECDH-ES+A256KW and A256GCM.

Every envelope brings keys of its own (ephemeral on the sealing side), so the sealer cannot open it either:
a gateway that is taken over later holds nothing that opens what it sealed before.

Source: RFC 7516 sections 5 and 7.2.1; RFC 8037 section 3.2.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from idp_plugin.writeback.keys import Untrusted, json_object, public_text

_WRAP = "ECDH-ES+A256KW"
_CONTENT = "A256GCM"
_ALGORITHMS = (_WRAP, _CONTENT)
_BLOCK_BYTES = 512


def key_id(key: OKPKey) -> str:
    """Return the name of a key within an envelope."""
    return hashlib.sha256(public_text(key).encode()).hexdigest()[:16]


def seal(content: Mapping[str, Any], keys: Iterable[OKPKey], *, associated: bytes) -> str:
    """Return an envelope that each of the keys opens.

    Args:
        content: JSON values; padded, so that its length does not tell a password's.
        keys: X25519 keys of the recipients.
        associated: What it belongs to; it opens with this alone.
    """
    sealed = jwe.GeneralJSONEncryption({"enc": _CONTENT}, _padded(content), aad=associated)
    for key in keys:
        sealed.add_recipient({"alg": _WRAP, "kid": key_id(key)}, key)
    return json.dumps(jwe.encrypt_json(sealed, None, algorithms=_ALGORITHMS))


def unseal(envelope: str, keys: Iterable[OKPKey], *, associated: bytes) -> Mapping[str, Any]:
    """Open an envelope with whichever of the keys it was sealed to.

    Raises:
        Untrusted: To none of them, for something else, or altered.
    """
    ring = {key_id(key): key for key in keys}
    document = json_object(envelope)
    try:
        mine = [each for each in document["recipients"] if each["header"]["kid"] in ring][:1]
        key = ring[mine[0]["header"]["kid"]]
        document["recipients"] = mine
        found = jwe.decrypt_json(cast(Any, document), key, algorithms=_ALGORITHMS)
    except (JoseError, ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise Untrusted("envelope") from error
    if found.aad != associated:
        raise Untrusted("envelope")
    return json_object(found.plaintext or b"")


def _padded(content: Mapping[str, Any]) -> bytes:
    plain = json.dumps(content).encode()
    return plain.ljust(-(-len(plain) // _BLOCK_BYTES) * _BLOCK_BYTES)
