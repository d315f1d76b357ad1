import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enforcement.policy import PolicyInvalid
from enforcement.situation import Situation
from enforcement.who import Fit, Hours, Ring, Who
from tests.enforcement.making import a_policy, each_who, situations

NOBODY: frozenset[str] = frozenset()
MONDAY = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)


def fit(who: dict[str, Any], **facts: Any) -> Fit:
    known = {"subject": "ana", "groups": NOBODY, "roles": NOBODY, "at": MONDAY}
    return Who.model_validate({"everyone": True} | who).fit(Situation(**known | facts))


def test_a_network_holds_the_addresses_in_it_of_either_version() -> None:
    office = {"networks": ["192.0.2.0/24", "2001:db8::/32"]}
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "2001:db8::1%eth0"):
        assert fit(office, address=address).matches
    for address in ("192.0.3.1", "2001:db9::1", "::1"):
        assert fit(office, address=address).against == ("networks",)


@pytest.mark.parametrize("address", ["", "unknown", "192.0.2", "192.0.2.1:80"])
def test_what_is_no_address_is_unknown_and_not_outside(address: str) -> None:
    assert fit({"networks": ["192.0.2.0/24"]}, address=address) == Fit(unknown=("networks",))


@pytest.mark.parametrize("network", ["office", "192.0.2.1/24", "192.0.2.0/33", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(PolicyInvalid, match="is no network"):
        a_policy({"who": {"everyone": True, "networks": [network]}})


def test_a_relying_party_is_named_exactly_or_by_a_pattern_that_crosses_no_slash() -> None:
    apps = {"clients": ["wiki", "*.apps.example.org", "https://*.example.org/saml"]}
    for name in ("wiki", "mail.apps.example.org", "https://a.b.example.org/saml"):
        assert fit(apps, client_id=name).matches
    for name in ("Wiki", "wiki2", "apps.example.org", "https://evil.test/.example.org/saml"):
        assert fit(apps, client_id=name).against == ("clients",)


def test_what_else_stands_in_a_pattern_means_itself() -> None:
    assert fit({"clients": ["a.c*"]}, client_id="abc").against == ("clients",)
    assert fit({"clients": ["[a]*"]}, client_id="[a]pp").matches


def test_a_protocol_is_one_of_those_that_are_known() -> None:
    assert fit({"protocols": ["saml", "cas"]}, protocol="saml").matches
    assert fit({"protocols": ["saml", "cas"]}, protocol="oidc").against == ("protocols",)
    with pytest.raises(PolicyInvalid):
        a_policy({"who": {"everyone": True, "protocols": ["ldap"]}})


def test_people_are_named_by_their_immutable_id() -> None:
    assert fit({"everyone": False, "subjects": ["ana"]}).matches
    assert fit({"everyone": False, "subjects": ["ana"]}, subject="ANA").against == ("people",)
    assert fit({"everyone": False, "subjects": ["ana"]}, subject="").unknown == ("people",)
    assert not Who(subjects=("ana",)).needs_groups


OFFICE = Hours(days=("monday",), begins=dt.time(8), ends=dt.time(18), zone="Europe/Amsterdam")
NIGHT = Hours(days=("friday",), begins=dt.time(22), ends=dt.time(6))


@pytest.mark.parametrize(
    ("hours", "moment", "included"),
    [
        (OFFICE, "2026-03-02T07:00+00:00", True),
        (OFFICE, "2026-03-02T06:59+00:00", False),
        (OFFICE, "2026-03-02T17:00+00:00", False),
        # Summer time there: the same clock, another hour of UTC.
        (OFFICE, "2026-06-01T06:00+00:00", True),
        (OFFICE, "2026-03-03T12:00+00:00", False),
        (NIGHT, "2026-03-06T22:00+00:00", True),
        (NIGHT, "2026-03-07T05:59+00:00", True),
        (NIGHT, "2026-03-07T06:00+00:00", False),
        # The small hours of a Friday belong to Thursday's night.
        (NIGHT, "2026-03-06T03:00+00:00", False),
        (Hours(days=("sunday",)), "2026-03-01T23:59+00:00", True),
        (Hours(days=("sunday",)), "2026-03-02T00:00+00:00", False),
        (Hours(begins=dt.time(9), ends=dt.time(9)), "2026-03-02T03:00+00:00", True),
    ],
)
def test_hours_are_those_of_the_zones_clock(hours: Hours, moment: str, included: bool) -> None:
    assert hours.include(dt.datetime.fromisoformat(moment)) is included


@given(st.integers(0, 366 * 24 * 60).map(lambda minutes: MONDAY + dt.timedelta(minutes=minutes)), st.times())
def test_two_halves_of_a_day_never_overlap_nor_leave_anything_out(moment: dt.datetime, noon: dt.time) -> None:
    halves = (Hours(ends=noon, zone="Asia/Kathmandu"), Hours(begins=noon, zone="Asia/Kathmandu"))
    if noon == dt.time(0):
        assert all(half.include(moment) for half in halves)
    else:
        assert [half.include(moment) for half in halves].count(True) == 1


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "../etc/passwd", "", "/etc/passwd"])
def test_a_zone_that_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(PolicyInvalid, match="no time zone"):
        a_policy({"who": {"everyone": True, "times": [{"zone": zone}]}})


def test_a_ring_holds_about_as_many_as_it_says_and_always_the_same() -> None:
    people = [f"person {number}" for number in range(4000)]
    ring = Ring(percent=25, salt="pilot")
    inside = [name for name in people if ring.includes("https://idp.example", name)]
    assert 900 < len(inside) < 1100
    assert inside == [name for name in people if ring.includes("https://idp.example", name)]


def test_a_growing_ring_keeps_everybody_and_another_salt_chooses_anew() -> None:
    people = [f"person {number}" for number in range(500)]
    rings = [
        {name for name in people if Ring(percent=percent, salt="pilot").includes("i", name)}
        for percent in (1, 10, 50, 99.9, 100)
    ]
    assert all(smaller < larger for smaller, larger in itertools.pairwise(rings[:3]))
    assert rings[3] <= rings[4] == set(people)
    other = {name for name in people if Ring(percent=50, salt="other").includes("i", name)}
    assert 50 < len(rings[2] & other) < 200


def test_somebody_unknown_is_neither_in_a_ring_nor_outside() -> None:
    assert fit({"ring": {"percent": 50, "salt": "x"}}, subject="") == Fit(unknown=("ring",))


def test_everything_that_speaks_against_a_rule_is_told() -> None:
    who = {"everyone": False, "groups": ["staff"], "clients": ["wiki"], "protocols": ["saml"]}
    assert fit(who, client_id="mail") == Fit(against=("people", "clients"), unknown=("protocols",))


@given(each_who(), each_who(), situations)
def test_what_another_includes_never_fits_it_worse(outer: Who, inner: Who, situation: Situation) -> None:
    conditions = ("people", "ring", "clients", "networks", "protocols", "times")
    for condition in conditions:
        if outer.includes(inner, (condition,)) and condition not in inner.fit(situation).against:
            assert condition not in outer.fit(situation).against
