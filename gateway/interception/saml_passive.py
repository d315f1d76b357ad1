"""Requests that forbid any page, from people who have something to do first (decision record 0034).

A SAML answer is signed, so only the identity provider can say "not without asking". It is asked the same
again without anybody's session: then it has nobody to sign in, and says so.
"""

from gateway.interception.parked import pack, unpack
from gateway.interception.saml_request import SamlRequest
from gateway.plane.verdict import Replace
from idp_plugin.authorization_answer import targets
from idp_plugin.base import AuthorizationAnswer, Exchange, Unrecognised
from idp_plugin.oidc_provider import OidcProvider


class PassiveRefusals:
    """Asks the provider for refusals. Blocking."""

    def __init__(self, provider: OidcProvider) -> None:
        self._provider = provider

    def refuse(self, request: SamlRequest, answer: AuthorizationAnswer) -> Replace:
        """Return the provider's own refusal of a request.

        Args:
            answer: What is not handed on. The refusal goes to the same address, or nowhere.

        Raises:
            Unrecognised: It gives none that may be handed on.
            IdpUnavailable: No answer in time.
        """
        exchange = self._ask(request)
        refusals = [target for target in targets(exchange) if "SAMLResponse" in dict(target.pairs)]
        # Security: handed on unexamined, so it must be certain that nobody is signed in by it (S8).
        is_sign_in = any(target.hands_over for target in targets(exchange))
        if is_sign_in or [target.redirect_uri for target in refusals] != [answer.redirect_uri]:
            raise Unrecognised("passive_request_not_refused")
        refusal = unpack(pack(exchange))
        return Replace(refusal.status, refusal.headers, refusal.body)

    def _ask(self, request: SamlRequest) -> Exchange:
        target, _, form = request.target.partition("\n")
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        response = self._provider.request(
            "POST" if form else "GET", self._provider.public + target, content=form.encode(), headers=kind
        )
        return Exchange(
            b"POST" if form else b"GET",
            target.encode(),
            (),
            b"",
            response.status_code,
            tuple(response.headers.raw),
            response.content,
        )
