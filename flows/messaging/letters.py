"""What messages say that carry no code: names, requests for help, invitations, alarms."""

import datetime as dt
from collections.abc import Sequence
from itertools import accumulate

from flows.messaging.asked import Asked
from flows.messaging.render import Draft, Render, plain_name

_LONGEST_NAMES = 300
"""Letters of names in a text message, which is paid by its length."""


def _fitting(names: Sequence[str]) -> list[str]:
    """Return the first names, as many as fit."""
    ends = accumulate(len(name) + len(", ") for name in names)
    return [name for name, end in zip(names, ends, strict=True) if end <= _LONGEST_NAMES]


class Letters(Render):
    """Writes them in one language for one organisation."""

    def in_language(self, locale: str) -> "Letters":
        """Return the same for a receiver whose language is known; for an empty one, the default."""
        return Letters(
            organisation=self._organisation, zone=self._zone.key, languages=self._languages, locale=locale
        )

    def forgotten_name(self, names: Sequence[str], *, asked: Asked, reference: str) -> Draft:
        """Return the message with the names that belong to an address; with none where none can be told."""
        _ = self._translate
        told = (
            (_("The name to sign in with at {organisation} is:"), *names)
            if len(names) == 1
            else (_("Several accounts at {organisation} have this address. Their names are:"), *names)
            if names
            else (_("The name cannot be told in a message. Please ask your helpdesk at {organisation}."),)
        )
        return Draft(
            _("Your name for signing in at {organisation}").format(organisation=self._organisation),
            (
                told[0].format(organisation=self._organisation),
                *told[1:],
                self._asked(asked),
                _("If that was not you, do nothing: only this mailbox got the name, and nothing changes."),
                self._reference(reference),
            ),
            short=self._name_in_short(names),
            locale=self._locale,
        )

    def _name_in_short(self, names: Sequence[str]) -> str:
        """Return the same for a text message; with the first names alone, where it would become too long."""
        _ = self._translate
        told = ", ".join(_fitting(names))
        if not told:
            return _(
                "The name cannot be told in a message. Please ask your helpdesk at {organisation}."
            ).format(organisation=self._organisation)
        return _("Your name for signing in at {organisation}: {names}").format(
            organisation=self._organisation, names=told
        )

    def help_asked(
        self,
        *,
        names: Sequence[str],
        display_name: str,
        trouble: str,
        privileged: bool,
        asked: Asked,
        reference: str,
    ) -> Draft:
        """Return the message to those who may help somebody; `trouble` is a `flows.help.contact.Trouble`."""
        _ = self._translate
        person = ", ".join(part for part in (plain_name(display_name), *names) if part)
        warning = _(
            "This account has special rights: its password is reset by nobody but another administrator."
        )
        return Draft(
            _("Somebody asks for help with signing in at {organisation} ({reference})").format(
                organisation=self._organisation, reference=reference
            ),
            (
                _("Somebody who cannot sign in asks for help. The directory knows the name as:"),
                person or _("a name that cannot be told in a message; the audit has the reference"),
                self._trouble(trouble),
                *((warning,) if privileged else ()),
                self._asked(asked),
                _(
                    "Whoever asked proved nothing. Call the person back, by a number that you know, before "
                    "you do anything. Do not answer this message."
                ),
                self._reference(reference),
            ),
        )

    def invitation(self, *, name: str, link: str, hours: int, reference: str) -> Draft:
        """Return the message that lets somebody set a new password, on a helpdesk's word."""
        _ = self._translate
        return Draft(
            _("Set a new password for {organisation}").format(organisation=self._organisation),
            (
                *self._greeting(name),
                _(
                    "Your helpdesk at {organisation} asks you to set a new password. Open this page within "
                    "{hours} hours, and prove that it is you in one of the ways that you registered:"
                ).format(organisation=self._organisation, hours=hours),
                link,
                _("The link alone changes nothing. If you expect no such message, tell your helpdesk."),
                self._reference(reference),
            ),
        )

    def temporary_password_set(self, *, name: str, at: dt.datetime, stop_link: str, reference: str) -> Draft:
        """Return the notice that an administrator set a temporary password."""
        _ = self._translate
        return Draft(
            _("An administrator reset your password at {organisation}").format(
                organisation=self._organisation
            ),
            (
                *self._greeting(name),
                _(
                    "An administrator set a temporary password for your account on {when}. You choose a new "
                    "one at your next sign-in. You were signed out everywhere."
                ).format(when=self._when(at)),
                _("If you asked for that, there is nothing to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def registration_code_issued(
        self, *, name: str, at: dt.datetime, stop_link: str, reference: str
    ) -> Draft:
        """Return the notice that somebody was handed a registration code."""
        _ = self._translate
        return Draft(
            _("A code to register was handed out for you at {organisation}").format(
                organisation=self._organisation
            ),
            (
                *self._greeting(name),
                _(
                    "On {when} your helpdesk made a code for your account. Whoever is signed in as you and "
                    "types it can change how you get back in, and the change counts at once."
                ).format(when=self._when(at)),
                _("If you asked for that, there is nothing to do."),
                *self._stop(stop_link),
                self._reference(reference),
            ),
        )

    def administrators_password(self, *, name: str, at: dt.datetime, reference: str) -> Draft:
        """Return the alarm to the other administrators that one's own password was set anew."""
        _ = self._translate
        return Draft(
            _("The password of an administrator was reset at {organisation}").format(
                organisation=self._organisation
            ),
            (
                _("A new password was set on {when} for this administrator:").format(when=self._when(at)),
                plain_name(name) or _("a name that cannot be told in a message; the audit has the reference"),
                _("If nobody among you knows why, act now: the account has power over the others."),
                self._reference(reference),
            ),
        )

    def recovery_stopped(self, *, name: str, at: dt.datetime, reference: str) -> Draft:
        """Return the alarm that somebody said "this was not me"."""
        _ = self._translate
        return Draft(
            _("Somebody said at {organisation}: this was not me").format(organisation=self._organisation),
            (
                _("On {when} account recovery was stopped for:").format(when=self._when(at)),
                plain_name(name) or _("a name that cannot be told in a message; the audit has the reference"),
                _(
                    "A notice told this person of a change that they say they did not make. Every session "
                    "was ended; nothing was deleted. Make sure whom you talk to before you lift the stop."
                ),
                self._reference(reference),
            ),
        )

    def messages_spiked(self, *, channel: str, count: str, at: dt.datetime) -> Draft:
        """Return the alarm that far more messages leave by a channel than usual."""
        _ = self._translate
        name = {"sms": _("text messages"), "voice": _("calls")}.get(channel) or _("mails")
        return Draft(
            _("Far more {messages} than usual leave for {organisation}").format(
                messages=name, organisation=self._organisation
            ),
            (
                _("In the ten minutes before {when}, {count} {messages} left.").format(
                    when=self._when(at), count=count, messages=name
                ),
                _(
                    "Somebody may be having codes sent at your cost, or be trying to use up what others "
                    "need. Budgets hold: look at the audit for where they go, and block a country or the "
                    "beginning of the numbers where they belong to nobody of yours."
                ),
            ),
        )

    def policy_weaker(self, *, number: str, author: str, weaker: str, at: dt.datetime) -> Draft:
        """Return the alarm that a weaker version of the policy waits for a second person."""
        _ = self._translate
        return Draft(
            _("A weaker policy waits for approval at {organisation}").format(organisation=self._organisation),
            (
                _(
                    "On {when} a version of the policy was proposed that asks for less, or protects less, "
                    "than the one in force. It is not in force."
                ).format(when=self._when(at)),
                _("Proposed by: {author}").format(author=author or _("nobody known; found in the file")),
                _("Weaker in: {weaker}").format(weaker=weaker),
                _(
                    "A second person can approve or reject it: sparekey policy approve {number}, sparekey "
                    "policy reject {number}."
                ).format(number=number),
            ),
        )

    def _trouble(self, trouble: str) -> str:
        _ = self._translate
        said = {
            "no_way": _("What was chosen: I can use none of the ways that I registered."),
            "nothing_registered": _("What was chosen: I never registered a way back in."),
            "closed": _("What was chosen: my account seems to be closed."),
        }
        return said.get(trouble) or _("What was chosen: something else.")
