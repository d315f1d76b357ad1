"""Groups and roles in ID tokens."""

from typing import Any

import pytest

from idp_plugin.stated import groups_of, roles_of


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"roles": ["helpdesk", "staff"]}, {"helpdesk", "staff"}),
        ({"realm_access": {"roles": ["offline_access"]}}, {"offline_access"}),
        ({"roles": [], "realm_access": {"roles": ["admin"]}}, set()),
        ({"roles": ["staff", 7, None]}, {"staff"}),
        ({}, None),
        ({"roles": "admin"}, None),
        ({"realm_access": ["admin"]}, None),
        ({"realm_access": {}}, None),
    ],
)
def test_roles_are_what_the_provider_lists_and_unknown_where_it_lists_none(
    claims: dict[str, Any], roles: set[str] | None
) -> None:
    assert roles_of(claims) == roles


def test_groups_that_are_not_stated_are_not_the_same_as_none() -> None:
    assert groups_of({}) is None
    assert groups_of({"groups": []}) == frozenset()
    assert groups_of({"groups": ["/staff"]}) == {"/staff"}
