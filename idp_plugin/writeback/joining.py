"""How an agent joins: once, with a token that an operator carried over; each side pins the other's key.

The token names the gateway's key, so nobody in between can join in the agent's place and be believed.
"""

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from joserfc.jwk import OKPKey

from idp_plugin.errors import IdpMisconfigured
from idp_plugin.writeback.channel import NotAccepted
from idp_plugin.writeback.https_channel import open_client, post
from idp_plugin.writeback.identity import AgentIdentity, IdentityFile, new_identity
from idp_plugin.writeback.keys import Untrusted, public_key, public_text, sign, unverified, verify

PATH = "/agent/join"
LIFE = dt.timedelta(hours=1)
"""How long an invitation may be used."""
_SECONDS = 15.0
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Invitation:
    """A token that lets one agent join."""

    secret: str = field(repr=False)
    gateway: str
    """Fingerprint of the gateway's signing key."""

    @classmethod
    def of(cls, secret: str, gateway: OKPKey) -> "Invitation":
        """Return the token of a fresh secret."""
        return cls(secret, fingerprint(gateway))

    @classmethod
    def parse(cls, text: str) -> "Invitation":
        """Read what an operator pasted.

        Raises:
            Untrusted: It has another form.
        """
        secret, _, gateway = text.strip().partition(".")
        if not secret or len(gateway) != 64:
            raise Untrusted("token")
        return cls(secret, gateway)

    def __str__(self) -> str:
        return f"{self.secret}.{self.gateway}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What an agent asks for when it joins."""

    secret: str = field(repr=False)
    name: str
    signing: OKPKey


def fingerprint(key: OKPKey) -> str:
    """Return what a token names a key by."""
    return hashlib.sha256(public_text(key).encode()).hexdigest()


def ask(wish: Wish) -> str:
    """Return the wish, signed by the key that is to be pinned."""
    claims = {"secret": wish.secret, "name": wish.name, "signing": public_text(wish.signing)}
    return sign("join", claims, wish.signing)


def read(token: str) -> Wish:
    """Return a wish of somebody who holds the key that it names.

    Raises:
        Untrusted: Anything else.
    """
    key = public_key(str(unverified(token).get("signing")), "Ed25519")
    claims = verify("join", token, key)
    name = "".join(letter for letter in str(claims.get("name")) if letter.isprintable())
    return Wish(str(claims.get("secret")), name.strip()[:_LONGEST_NAME] or "agent", key)


def welcome(agent: str, directory: str, wish: Wish, gateway: OKPKey) -> str:
    """Return the gateway's word that an agent joined."""
    claims = {
        "agent": agent,
        "directory": directory,
        "signing": public_text(wish.signing),
        "gateway": public_text(gateway),
    }
    return sign("welcome", claims, gateway)


def join(
    file: IdentityFile,
    invitation: Invitation,
    *,
    url: str,
    ca: Path | None,
    name: str,
    directory: str,
    clock: Callable[[], dt.datetime],
) -> AgentIdentity:
    """Make keys, join, and keep what was pinned; an earlier identity in the file is replaced.

    Args:
        url: The gateway's public origin with its prefix.
        directory: What the agent's settings call its directory.

    Raises:
        IdpMisconfigured: The token is not good, or for another directory.
        ChannelDown: The gateway does not answer.
    """
    fresh = new_identity(directory, clock())
    client = open_client(url, ca)
    try:
        wish = ask(Wish(invitation.secret, name, fresh.signing))
        answer = post(client, f"{url.rstrip('/')}{PATH}", {"join": wish}, seconds=_SECONDS)
        joined = _believed(str(answer.get("welcome")), invitation, fresh)
    except NotAccepted as error:
        raise IdpMisconfigured(f"the gateway refused the token: {error.why}") from error
    except Untrusted as error:
        raise IdpMisconfigured("whoever answered is not the gateway that made the token") from error
    finally:
        client.close()
    if joined.directory != directory:
        raise IdpMisconfigured(f"the token is for the directory {joined.directory}")
    file.write(joined)
    return joined


def _believed(token: str, invitation: Invitation, fresh: AgentIdentity) -> AgentIdentity:
    gateway = public_key(str(unverified(token).get("gateway")), "Ed25519")
    # Security: the key must be the one that the operator carried over, whoever answered.
    if fingerprint(gateway) != invitation.gateway:
        raise Untrusted("gateway")
    claims = verify("welcome", token, gateway)
    if claims.get("signing") != public_text(fresh.signing):
        raise Untrusted("signing")
    return replace(fresh, id=str(claims["agent"]), directory=str(claims["directory"]), gateway=gateway)
