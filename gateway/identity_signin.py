"""Sign-ins at further providers, as proofs: begun for one errand, by one browser, and good for that alone."""

import datetime as dt
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import structlog

from enforcement.policy import Policy
from flows.authenticators.linked_identity import NAME, LinkedIdentity, sealed_answer
from gateway.settings import Settings, SettingsInvalid
from gateway.signin import PortalSignIn, SignInRefused
from idp_plugin.errors import IdpError, IdpUnavailable
from idp_plugin.linked_provider import LinkedProvider
from idp_plugin.settings import LinkedProviderSettings
from store.expiring import Expiring

log = structlog.get_logger("sparekey.pages")
_ASKED_AGAIN_AFTER = 10.0
"""Seconds after a provider did not answer in which no page asks it."""
PATH = "/oidc/identity"
"""Below the prefix: where every further provider leads back to."""


def require_identities(policy: Policy, settings: Settings) -> None:
    """Check that there is a provider wherever the policy lists another identity.

    Raises:
        SettingsInvalid: There is none.
    """
    if NAME in policy.kinds and not settings.identities:
        raise SettingsInvalid([("identities", "the policy lists identity, and no further provider is set")])


@dataclass(frozen=True, slots=True)
class Errand:
    """What somebody signs in elsewhere for."""

    what: str
    """`bind`, `prove`, or the purpose of an attempt."""
    bound_to: str = field(repr=False)
    """Id of the question or of the attempt."""
    page: str
    """A path of ours to go back to where nothing came of it."""
    onward: str = ""
    """A path of ours to go on to; empty where the facts tell."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A sign-in elsewhere that was verified."""

    errand: Errand
    answer: str = field(repr=False)
    """For the flow; empty where the person stopped there."""


class IdentitySignIns:
    """All the further providers."""

    def __init__(
        self, settings: Sequence[LinkedProviderSettings], expiring: Expiring, *, redirect_uri: str
    ) -> None:
        """Take the providers; nothing is asked of them yet."""
        self._expiring = expiring
        self._settings = {each.name: each for each in settings}
        self._providers = {each.name: LinkedProvider(each) for each in settings}
        self._failed_at: dict[str, float] = {}
        self._sign_ins = {
            name: PortalSignIn(
                provider, expiring, redirect_uri=redirect_uri, begun=f"identity:{name}", is_fresh=True
            )
            for name, provider in self._providers.items()
        }

    @property
    def names(self) -> tuple[str, ...]:
        """What the providers are called, in the order of the settings."""
        return tuple(self._settings)

    def origin(self, name: str) -> str:
        """Return where a provider's sign-in page is, for the content policy of ours.

        Raises:
            IdpError: Its metadata cannot be read.
        """
        # Security: pages ask this; a provider that is down must not hold their threads again and again.
        if time.monotonic() - self._failed_at.get(name, -_ASKED_AGAIN_AFTER) < _ASKED_AGAIN_AFTER:
            raise IdpUnavailable(name)
        try:
            parts = urlsplit(self._providers[name].endpoint("authorization_endpoint"))
        except IdpError:
            self._failed_at[name] = time.monotonic()
            raise
        return f"{parts.scheme}://{parts.netloc}"

    def begin(self, name: str, errand: Errand, *, browser: str, now: dt.datetime) -> str:
        """Return the address to send the browser to.

        Args:
            name: One of `names`.
            browser: Digest of the browser's secret; only this browser can finish.

        Raises:
            IdpError: The provider does not answer.
        """
        return self._sign_ins[name].begin(json.dumps(asdict(errand)), browser=browser, now=now)

    def finish(self, answer: Mapping[str, str], *, browser: str, now: dt.datetime) -> Finished:
        """Verify what a provider answered.

        Raises:
            SignInRefused: It was begun by another browser, or not at all.
            IdpError: The provider does not answer.
        """
        name, errand = self._begun(answer, browser)
        try:
            signed_in = self._sign_ins[name].finish(answer, browser=browser, now=now)
        except SignInRefused as refused:
            log.info("identity_sign_in_refused", why=refused.why)
            return Finished(errand, "")
        identity = LinkedIdentity(name, signed_in.subject.source, signed_in.subject.id)
        vault = self._expiring.vault
        return Finished(errand, sealed_answer(vault, identity, bound_to=errand.bound_to, now=now))

    def close(self) -> None:
        """Close connections."""
        for provider in self._providers.values():
            provider.close()

    def _begun(self, answer: Mapping[str, str], browser: str) -> tuple[str, Errand]:
        # Nothing but the sign-in that made a state opens it, so that no provider answers for another.
        for name, sign_in in self._sign_ins.items():
            going_to = sign_in.going_to(answer, browser=browser)
            if going_to:
                return name, Errand(**json.loads(going_to))
        raise SignInRefused("unknown_state")
