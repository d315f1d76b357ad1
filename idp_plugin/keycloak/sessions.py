"""Ending a person's Keycloak sessions, offline ones too, then reading back."""

from collections.abc import Iterator

from idp_plugin.base import Subject
from idp_plugin.keycloak.admin import KeycloakAdmin, part

OFFLINE = "Offline Token"
"""Source: Keycloak 26.4, `UserResource.getConsents`, `additionalGrants`."""


class KeycloakSessions:
    """`base.IdpSessions` through the admin API; the service account needs `manage-users`."""

    def __init__(self, admin: KeycloakAdmin) -> None:
        self._admin = admin

    def end_all(self, subject: Subject) -> int:
        """End every session and return how many are still there."""
        user = f"users/{part(subject.id)}"
        self._admin.post(f"{user}/logout")
        for session_id in tuple(self._offline(user)):
            self._admin.delete(f"sessions/{part(session_id)}", isOffline="true")
        return len(self._admin.get(f"{user}/sessions") or ()) + len(set(self._offline(user)))

    def end(self, session_id: str) -> None:
        """End one session (`base.SessionEnder`)."""
        self._admin.delete(f"sessions/{part(session_id)}")

    def _offline(self, user: str) -> Iterator[str]:
        for consent in self._admin.get(f"{user}/consents") or ():
            for grant in consent.get("additionalGrants") or ():
                if grant.get("key") == OFFLINE:
                    sessions = self._admin.get(f"{user}/offline-sessions/{part(str(grant['client']))}")
                    yield from (str(session["id"]) for session in sessions or ())
