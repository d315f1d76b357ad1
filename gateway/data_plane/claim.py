"""What a native data plane believes: that this session was found covered, for one application, a moment ago.

Signed, not only authenticated: whoever breaks into the edge can read claims and make none (S12). Everything
that the gate may have looked at is in the signed message and nowhere in the cookie, so that a plane must know
it from the answer itself: for another session, application, place or network the signature does not verify.
"""

import base64
import datetime as dt
import zlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from enforcement.decision import Release
from gateway.interception.plane_cookies import PlaneCookies
from gateway.plane.verdict import Headers
from idp_plugin.base import AuthorizationAnswer, SignIn
from store.vault import Vault

LIFETIME = dt.timedelta(minutes=5)
PURPOSE = "data plane claim"
FIRST_LINE = "sparekey decided 1"
STATED = frozenset({"code", "state", "session_state", "iss"})
"""All that a plain answer carries; an answer with anything else is decided by the gateway each time."""

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Source: FIPS 186-5, SP 800-186 section 3.2.1.3."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One decision, as narrow as the gate made it."""

    issuer: str
    session_id: str
    client_id: str
    redirect_uri: str
    """Without query and fragment."""
    client_address: str
    policy_version: int
    ends: dt.datetime

    def message(self) -> bytes:
        """Return what is signed: no two claims have the same."""
        facts = (
            self.issuer,
            self.session_id,
            self.client_id,
            self.redirect_uri,
            self.client_address,
            str(self.policy_version),
            str(int(self.ends.timestamp())),
        )
        return "\n".join([FIRST_LINE, *(f"{len(fact.encode())}:{fact}" for fact in facts)]).encode()


def claim_of(
    sign_in: SignIn, answer: AuthorizationAnswer, release: Release, *, now: dt.datetime
) -> Claim | None:
    """Return what may be claimed of a release; None for all but a plain answer to a covered person.

    A postponed sign-in, one that no rule covers, and one whose session or application is unknown are asked
    about each time.
    """
    is_covered = release.reason == "covered" and release.policy_version
    is_plain = answer.mode == "query" and answer.parameters.keys() <= STATED and sign_in.protocol == "oidc"
    is_known = sign_in.client_id and sign_in.client_address and urlsplit(answer.redirect_uri).netloc
    is_stated = sign_in.session_id and answer.parameters.get("session_state") == sign_in.session_id
    if not (is_covered and is_plain and is_known and is_stated):
        return None
    return Claim(
        sign_in.subject.source,
        sign_in.session_id,
        sign_in.client_id,
        answer.redirect_uri,
        sign_in.client_address,
        release.policy_version,
        now + LIFETIME,
    )


def mint(claim: Claim, vault: Vault) -> str:
    """Return the claim's token: policy version, end, signature."""
    signature = _private_key(vault.signing_key(PURPOSE)).sign(claim.message(), ec.ECDSA(SHA256()))
    encoded = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
    return f"{claim.policy_version}.{int(claim.ends.timestamp())}.{encoded}"


@dataclass(frozen=True, slots=True)
class Claims:
    """Gives browsers their claims."""

    vault: Vault
    cookies: PlaneCookies

    def fields(
        self, sign_in: SignIn, answer: AuthorizationAnswer, release: Release, now: dt.datetime
    ) -> Headers:
        """Return the cookie that goes beside a release; nothing where there is nothing to claim."""
        claim = claim_of(sign_in, answer, release, now=now)
        if claim is None:
            return ()
        return self.cookies.decided(cookie_suffix(claim.client_id), mint(claim, self.vault))


def cookie_suffix(client_id: str) -> str:
    """Return what tells the cookies of two applications apart; it protects nothing."""
    return f"{zlib.crc32(client_id.encode()):08x}"


def public_keys(vault: Vault) -> tuple[str, ...]:
    """Return the keys that verify, newest first, base64 of SubjectPublicKeyInfo."""
    keys = (_private_key(key).public_key() for key in vault.verifying_keys(PURPOSE))
    return tuple(
        base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
        for key in keys
    )


def _private_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Return the P-256 key that 32 secret bytes stand for."""
    return ec.derive_private_key(int.from_bytes(secret) % (P256_ORDER - 1) + 1, ec.SECP256R1())
