"""Groups and roles as an ID token states them."""

from collections.abc import Mapping
from typing import Any


def groups_of(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the claim `groups`; None where the provider does not state it."""
    return _texts(claims.get("groups"))


def roles_of(claims: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the claim `roles`, or what Keycloak calls the realm's roles; None where neither is stated.

    Source: Keycloak, "realm roles" mapper: `realm_access.roles`.
    """
    stated = _texts(claims.get("roles"))
    if stated is not None:
        return stated
    realm = claims.get("realm_access")
    return _texts(realm.get("roles")) if isinstance(realm, Mapping) else None


def _texts(value: Any) -> frozenset[str] | None:
    return frozenset(each for each in value if isinstance(each, str)) if isinstance(value, list) else None
