"""What messages say that carry no code: names, requests for help, invitations, alarms."""

import datetime as dt
from collections.abc import Sequence

from flows.messaging.asked import Asked
from flows.messaging.render import Draft, Render, plain_name


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

    def _trouble(self, trouble: str) -> str:
        _ = self._translate
        said = {
            "no_way": _("What was chosen: I can use none of the ways that I registered."),
            "nothing_registered": _("What was chosen: I never registered a way back in."),
            "closed": _("What was chosen: my account seems to be closed."),
        }
        return said.get(trouble) or _("What was chosen: something else.")
