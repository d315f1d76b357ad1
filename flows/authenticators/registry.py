"""Every kind there is, by name."""

from collections.abc import Callable, Collection, Mapping, Sequence

from flows.authenticators.base import Kind, Kinds
from flows.authenticators.email_code import EmailCode
from flows.authenticators.helpdesk_code import HelpdeskCode
from flows.authenticators.linked_identity import LinkedIdentities
from flows.authenticators.passkey import Passkeys
from flows.authenticators.phone import MobilePhone, OfficePhone
from flows.authenticators.recovery_codes import RecoveryCodes
from flows.authenticators.security_questions import SecurityQuestions
from flows.authenticators.totp import Totp
from flows.hashing import Hashing
from flows.help.helpdesk_codes import IssuedCodes
from flows.settings import QuestionSettings
from store.vault import Vault


def all_kinds(
    vault: Vault,
    *,
    organisation: str,
    portal: str,
    issued: IssuedCodes,
    sign_in_domains: Sequence[str] = (),
    default_region: str = "",
    questions: QuestionSettings | None = None,
    identities: Mapping[str, str] | None = None,
    channels: Collection[str] = ("email", "sms", "voice"),
    is_allowed_number: Callable[[str, str], bool] = lambda _channel, _number: True,
) -> Kinds:
    """Return the kinds by the names that policies use.

    Args:
        vault: Keys for codes and look-ups.
        organisation: The name that an authenticator app shows.
        portal: Address of our own pages; its host alone can ask for their passkeys.
        issued: The codes of the helpdesk that are out.
        sign_in_domains: See `MessagesSettings.sign_in_domains`.
        default_region: See `MessagesSettings.default_region`.
        questions: See `QuestionSettings`; as shipped when None.
        identities: Issuers of the providers that people may link, by name.
        channels: Names of those by which anything can leave.
        is_allowed_number: See `Budgets.is_allowed_number`.
    """
    texts_and_calls = tuple(way for way in ("sms", "voice") if way in channels)
    calls = tuple(way for way in texts_and_calls if way == "voice")
    kinds: tuple[Kind, ...] = (
        EmailCode(vault, sign_in_domains),
        MobilePhone(vault, region=default_region, ways=texts_and_calls, is_allowed=is_allowed_number),
        OfficePhone(vault, region=default_region, ways=calls, is_allowed=is_allowed_number),
        Totp(organisation),
        Passkeys(portal=portal, organisation=organisation),
        LinkedIdentities(vault, identities or {}),
        HelpdeskCode(vault, issued),
        RecoveryCodes(),
        SecurityQuestions(questions or QuestionSettings(), Hashing()),
    )
    return {kind.name: kind for kind in kinds}
