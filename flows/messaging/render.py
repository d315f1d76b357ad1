"""What messages say: fixed sentences with fixed placeholders, as plain text and as simple HTML."""

import datetime as dt
import html
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from enforcement.policy import Purpose
from flows.messaging import sms_text
from flows.messaging.asked import Asked
from flows.messaging.message import Message, MessageKind

Translate = Callable[[str], str]
Languages = Callable[[str], Translate]
"""From a BCP 47 tag, perhaps empty, to what speaks that language, or the organisation's default."""
_LONGEST_NAME = 60
# Security: whatever a mail program might turn into a link or an address (S24).
_ADDRESS_LIKE = re.compile(r"[@/\\:<>]|\w\.\w")


def english_only(_locale: str) -> Translate:
    """Return what says every sentence as it is written here."""
    return str


@dataclass(frozen=True, slots=True)
class Draft:
    """A message without its receiver."""

    subject: str
    paragraphs: tuple[str, ...] = field(repr=False)
    """Plain text, one sentence or more each; the code and links stand on lines of their own."""
    short: str = field(default="", repr=False)
    """The same for a text message; empty where it only goes by mail."""
    spoken: str = field(default="", repr=False)
    """The same for a call, see `Message.text`; empty where it only goes by mail."""
    locale: str = ""
    """The language that it is written in: BCP 47; empty where nobody knows it."""

    def to(self, address: str, kind: MessageKind, reference: str, channel: str = "email") -> Message:
        """Return the message for one address or number."""
        if channel != "email":
            return Message(
                to=address,
                channel=channel,
                subject="",
                text=self.spoken if channel == "voice" else self.short,
                kind=kind,
                reference=reference,
                locale=self.locale,
            )
        return Message(
            to=address,
            channel=channel,
            subject=self.subject,
            text="\n\n".join(self.paragraphs) + "\n",
            html=_html(self.subject, self.paragraphs),
            kind=kind,
            reference=reference,
        )


class Render:
    """Writes drafts in one language for one organisation."""

    def __init__(
        self,
        *,
        organisation: str,
        zone: str = "UTC",
        languages: Languages = english_only,
        locale: str = "",
        host: str = "",
    ) -> None:
        """Take what every message needs.

        Args:
            organisation: The name that messages speak of.
            zone: Time zone whose time is told beside UTC, like `Europe/Amsterdam`.
            languages: Finds what translates sentences, placeholders kept.
            locale: The receiver's language as BCP 47; empty where nobody knows it.
            host: On which codes from text messages are typed; empty where it has no name.
        """
        self._organisation = organisation
        self._zone = ZoneInfo(zone)
        self._languages = languages
        self._locale = locale
        self._translate = languages(locale)
        self._host = host

    def in_language(self, locale: str) -> "Render":
        """Return the same for a receiver whose language is known; for an empty one, the default."""
        return Render(
            organisation=self._organisation,
            zone=self._zone.key,
            languages=self._languages,
            locale=locale,
            host=self._host,
        )

    def attempt_code(
        self,
        purpose: Purpose,
        code: str,
        *,
        name: str,
        minutes: int,
        asked: Asked,
        link: str,
        reference: str,
    ) -> Draft:
        """Return the message with a code that proves an address; `link` is for another device."""
        _ = self._translate
        sentence = (
            _("Your verification code for unlocking your account at {organisation} is:")
            if purpose == "unlock"
            else _("Your verification code for setting a new password at {organisation} is:")
        )
        return Draft(
            _("Your verification code for {organisation}").format(organisation=self._organisation),
            (
                *self._greeting(name),
                sentence.format(organisation=self._organisation),
                code,
                _("It works once, for {minutes} minutes, in the browser that asked for it.").format(
                    minutes=minutes
                ),
                _(
                    "To go on on another device instead, open this page there and type the code. "
                    "It then ends in the first browser:"
                ),
                link,
                self._asked(asked),
                _("If that was not you, do nothing: without the code nothing changes."),
                self._secrecy(),
                self._reference(reference),
            ),
            short=self._short(code),
            spoken=self._spoken(code),
            locale=self._locale,
        )

    def registration_code(self, code: str, *, minutes: int, asked: Asked, reference: str) -> Draft:
        """Return the message with a code that confirms a new address; it may reach a stranger: no name."""
        _ = self._translate
        return Draft(
            _("Confirm your address for {organisation}").format(organisation=self._organisation),
            (
                _("The code that confirms this address for account recovery at {organisation} is:").format(
                    organisation=self._organisation
                ),
                code,
                _("It works once, for {minutes} minutes.").format(minutes=minutes),
                self._asked(asked),
                _("If you do not know what this is about, do nothing: the address will not be used."),
                self._secrecy(),
                self._reference(reference),
            ),
            short=self._short(code),
            spoken=self._spoken(code),
            locale=self._locale,
        )

    def step_up_code(self, code: str, *, minutes: int, asked: Asked, reference: str) -> Draft:
        """Return the message with a code that allows a change of recovery data."""
        _ = self._translate
        return Draft(
            _("Your verification code for {organisation}").format(organisation=self._organisation),
            (
                _("The code that allows a change of your recovery methods at {organisation} is:").format(
                    organisation=self._organisation
                ),
                code,
                _("It works once, for {minutes} minutes.").format(minutes=minutes),
                self._asked(asked),
                _("If that was not you, somebody knows your password: change it, and tell your helpdesk."),
                self._secrecy(),
                self._reference(reference),
            ),
            short=self._short(code),
            spoken=self._spoken(code),
            locale=self._locale,
        )

    def _short(self, code: str) -> str:
        _ = self._translate
        sentence = _("{code} is your verification code for {organisation}. Give it to nobody.").format(
            code=code, organisation=self._organisation
        )
        return sms_text.bound_to(sentence, self._host, code)

    def _spoken(self, code: str) -> str:
        _ = self._translate
        greeting = _(
            "Hello. {organisation} calls you with a verification code that somebody asked for. "
            "If that was not you, hang up. To hear the code, press the hash key."
        ).format(organisation=self._organisation)
        told = _("Your code is: {digits}. Once more: {digits}. Give it to nobody.").format(
            digits=", ".join(code)
        )
        return f"{greeting}\n\n{told}"

    def password_reset(
        self, *, name: str, at: dt.datetime, stop_link: str, reference: str, certain: bool = True
    ) -> Draft:
        """Return the notice that a password was reset or, where the answer was lost, may have been."""
        _ = self._translate
        happened = (
            _("A new password was set for your account at {organisation} on {when}.")
            if certain
            else _("A new password may have been set for your account at {organisation} on {when}.")
        )
        return Draft(
            _("Your password at {organisation} was changed").format(organisation=self._organisation),
            (
                *self._greeting(name),
                happened.format(organisation=self._organisation, when=self._when(at)),
                _("If that was you, there is nothing to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def password_not_everywhere(
        self, *, name: str, targets: Sequence[str], at: dt.datetime, stop_link: str, reference: str
    ) -> Draft:
        """Return the notice that a new password does not work in some places; `targets` names them."""
        _ = self._translate
        return Draft(
            _("Your new password at {organisation} does not work everywhere yet").format(
                organisation=self._organisation
            ),
            (
                *self._greeting(name),
                _(
                    "We tried until {when} to bring your new password to every place. "
                    "It does not work yet at: {places}. There, your old password may still be the one."
                ).format(when=self._when(at), places=", ".join(targets)),
                _("Please change your password again, so that it works everywhere."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def account_unlocked(
        self, *, name: str, at: dt.datetime, stop_link: str, reference: str, certain: bool = True
    ) -> Draft:
        """Return the notice that a lock was ended or, where the answer was lost, may have been."""
        _ = self._translate
        happened = (
            _("Your account at {organisation} was unlocked on {when}. Your password is the same as before.")
            if certain
            else _(
                "Your account at {organisation} may have been unlocked on {when}. "
                "Your password is the same as before."
            )
        )
        return Draft(
            _("Your account at {organisation} was unlocked").format(organisation=self._organisation),
            (
                *self._greeting(name),
                happened.format(organisation=self._organisation, when=self._when(at)),
                _("If that was you, there is nothing to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def method_added(
        self, *, name: str, method: str, at: dt.datetime, stop_link: str, reference: str
    ) -> Draft:
        """Return the notice that a recovery method was added; `method` is a kind."""
        _ = self._translate
        return Draft(
            _("A recovery method was added to your account at {organisation}").format(
                organisation=self._organisation
            ),
            (
                *self._greeting(name),
                _(
                    "{method} was added to your account on {when}. It can be used to set a new password."
                ).format(method=self._method(method), when=self._when(at)),
                _("If that was you, there is nothing to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def method_removed(
        self, *, name: str, method: str, at: dt.datetime, stop_link: str, reference: str
    ) -> Draft:
        """Return the notice that a recovery method was removed; `method` is a kind."""
        _ = self._translate
        return Draft(
            _("A recovery method was removed from your account at {organisation}").format(
                organisation=self._organisation
            ),
            (
                *self._greeting(name),
                _("{method} was removed from your account on {when}.").format(
                    method=self._method(method), when=self._when(at)
                ),
                _("If that was you, there is nothing to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def recovery_code_used(
        self, *, name: str, left: int, at: dt.datetime, stop_link: str, reference: str
    ) -> Draft:
        """Return the notice that a recovery code was used; `left` is how many of all are not."""
        _ = self._translate
        remaining = (
            _("Recovery codes that are left: {left}.").format(left=left)
            if left
            else _("It was the last one. Sign in and make new ones, so that you have a way back in.")
        )
        return Draft(
            _("A recovery code was used at {organisation}").format(organisation=self._organisation),
            (
                *self._greeting(name),
                _("One of your recovery codes was used on {when}. It does not work any more.").format(
                    when=self._when(at)
                ),
                remaining,
                _("If that was you, there is nothing more to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def recovery_codes_renewed(self, *, name: str, at: dt.datetime, stop_link: str, reference: str) -> Draft:
        """Return the notice that new recovery codes took the place of earlier ones."""
        _ = self._translate
        return Draft(
            _("New recovery codes were made for your account at {organisation}").format(
                organisation=self._organisation
            ),
            (
                *self._greeting(name),
                _("New recovery codes were made on {when}. The earlier ones do not work any more.").format(
                    when=self._when(at)
                ),
                _("If that was you, there is nothing to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def _greeting(self, name: str) -> tuple[str, ...]:
        _ = self._translate
        plain = plain_name(name)
        return (_("Hello {name},").format(name=plain),) if plain else ()

    def _asked(self, asked: Asked) -> str:
        _ = self._translate
        when = self._when(asked.at)
        if asked.block and asked.browser:
            return _("It was asked for on {when}, from the network {block}, with {browser}.").format(
                when=when, block=asked.block, browser=asked.browser
            )
        if asked.block:
            return _("It was asked for on {when}, from the network {block}.").format(
                when=when, block=asked.block
            )
        return _("It was asked for on {when}.").format(when=when)

    def _secrecy(self) -> str:
        _ = self._translate
        return _("Tell the code to nobody. Nobody at {organisation} will ever ask you for it.").format(
            organisation=self._organisation
        )

    def _stop(self, link: str) -> tuple[str, ...]:
        _ = self._translate
        if not link:
            return (_("If that was not you, tell your helpdesk at once."),)
        return (
            _("If that was not you, open this page and press its button; it stops account recovery at once:"),
            link,
        )

    def _reference(self, reference: str) -> str:
        _ = self._translate
        return _("Reference: {reference}").format(reference=reference)

    def _method(self, kind: str) -> str:
        _ = self._translate
        names = {
            "email": _("A private mail address"),
            "totp": _("An authenticator app"),
            "passkey": _("A passkey"),
            "recovery_codes": _("A set of recovery codes"),
            "security_questions": _("A set of security questions"),
            "identity": _("Another sign-in"),
        }
        return names.get(kind) or _("A recovery method")

    def _when(self, at: dt.datetime) -> str:
        utc = f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
        if self._zone.key == "UTC":
            return utc
        return f"{utc} ({at.astimezone(self._zone):%H:%M} {self._zone.key})"


def plain_name(name: str) -> str:
    """Return a directory's display name without control characters, addresses and links; may be empty."""
    shown = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in name)
    words = [word for word in shown.split() if not _ADDRESS_LIKE.search(word)]
    return " ".join(words)[:_LONGEST_NAME].strip()


def _html(title: str, paragraphs: tuple[str, ...]) -> str:
    body = "\n".join(f'<p dir="auto">{_linked(paragraph)}</p>' for paragraph in paragraphs)
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{html.escape(title)}</title></head>\n'
        f'<body style="font-family: sans-serif; line-height: 1.5">\n{body}\n</body></html>\n'
    )


def _linked(paragraph: str) -> str:
    escaped = html.escape(paragraph)
    if re.fullmatch(r"https?://\S+", paragraph):
        return f'<a href="{escaped}">{escaped}</a>'
    if re.fullmatch(r"\d{6}", paragraph):
        return f'<strong style="font-size: 1.6em; letter-spacing: 0.1em">{escaped}</strong>'
    return escaped
