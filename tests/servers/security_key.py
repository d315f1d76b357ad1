"""A security key in software: makes passkeys and signs with them, honestly or not.

Source: W3C Web Authentication Level 3, sections 6.1 (authenticator data) and 6.5.1 (attested credential).
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

_PRESENT, _VERIFIED, _ATTESTED = 0x01, 0x04, 0x40


@dataclass
class SecurityKey:
    """One device with one passkey; each attribute may be set to lie with."""

    origin: str
    host: str
    verifies: bool = True
    """Whether it checks who holds it."""
    counts: bool = True
    count: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    def make(self, options: str) -> dict[str, Any]:
        """Answer `navigator.credentials.create`."""
        attested = bytes(15) + b"\x01" + len(self.id).to_bytes(2) + self.id + self._public_key()
        data = self._data(_ATTESTED) + attested
        attestation = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        response = {
            "clientDataJSON": _text(self._client_data("webauthn.create", options)),
            "attestationObject": _text(attestation),
            "transports": ["usb", "carrier pigeon"],
        }
        return self._credential(response)

    def sign(self, options: str) -> dict[str, Any]:
        """Answer `navigator.credentials.get`."""
        data, client_data = self._data(0), self._client_data("webauthn.get", options)
        signature = self.key.sign(data + hashlib.sha256(client_data).digest(), ec.ECDSA(SHA256()))
        response = {
            "clientDataJSON": _text(client_data),
            "authenticatorData": _text(data),
            "signature": _text(signature),
        }
        return self._credential(response)

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        return {"id": _text(self.id), "rawId": _text(self.id), "type": "public-key", "response": response}

    def _data(self, flags: int) -> bytes:
        self.count += 1 if self.counts else 0
        flags |= _PRESENT | (_VERIFIED if self.verifies else 0)
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + self.count.to_bytes(4)

    def _client_data(self, what: str, options: str) -> bytes:
        stated = {"type": what, "challenge": json.loads(options)["challenge"], "origin": self.origin}
        return json.dumps(stated).encode()

    def _public_key(self) -> bytes:
        public = self.key.public_key().public_numbers()
        return encode_cbor({1: 2, 3: -7, -1: 1, -2: public.x.to_bytes(32), -3: public.y.to_bytes(32)})


def _text(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")
