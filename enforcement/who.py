"""Whom a rule is for: people, and the sign-ins of theirs that it looks at."""

import datetime as dt
import hashlib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from enforcement.situation import Situation

Condition = Literal["people", "ring", "clients", "networks", "protocols", "times"]
"""What a rule may ask of a sign-in; the last four never hold apart from one."""
Protocol = Literal["oidc", "saml", "cas", "ws_federation", "token", "forward_auth"]
"""How a relying party is told who signs in."""
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)
_DAY = dt.timedelta(days=1)
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Part(BaseModel):
    """A part of the document: nothing unknown in it, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True)
class Fit:
    """How a sign-in fits a rule."""

    against: tuple[Condition, ...] = ()
    """What certainly does not hold."""
    unknown: tuple[Condition, ...] = ()
    """What nobody can tell, because the fact was not learnt."""

    @property
    def matches(self) -> bool:
        """Whether the sign-in certainly is meant."""
        return not self.against and not self.unknown


_FITS = Fit()
_OTHERS = Fit(against=("people",))
_SOMEBODY = Fit(unknown=("people",))


class Hours(Part):
    """Hours of the week."""

    days: tuple[Weekday, ...] = WEEKDAYS
    """On which days they begin; left out, every day."""
    begins: dt.time = dt.time(0)
    """From when; the clock of the zone."""
    ends: dt.time = dt.time(0)
    """Until when, that minute not included; where it is not after `begins`, on the next day."""
    zone: str = "UTC"
    """Name of the time zone, such as `Europe/Amsterdam`."""

    @field_validator("begins", "ends")
    @classmethod
    def _plain(cls, value: dt.time) -> dt.time:
        if value.tzinfo is not None:
            raise ValueError("is a time of the zone's own clock, without an offset")
        return value

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            _zone(value)
        except (ValueError, KeyError, OSError) as error:
            raise ValueError("is no time zone that this machine knows") from error
        return value

    def include(self, moment: dt.datetime) -> bool:
        """Tell whether a moment is within them."""
        local = moment.astimezone(_zone(self.zone)).replace(tzinfo=None)
        return any(self._begun_on(local.date() - days, local) for days in (dt.timedelta(0), _DAY))

    def _begun_on(self, day: dt.date, local: dt.datetime) -> bool:
        if WEEKDAYS[day.weekday()] not in self.days:
            return False
        last = day if self.ends > self.begins else day + _DAY
        return dt.datetime.combine(day, self.begins) <= local < dt.datetime.combine(last, self.ends)


class Ring(Part):
    """Some of the people, always the same ones: for trying a rule on a few first."""

    percent: float = Field(gt=0, le=100)
    """How many of a hundred; raising it keeps everybody who is in it."""
    salt: str = Field(min_length=1, max_length=100)
    """Another word chooses other people."""

    def includes(self, source: str, subject: str) -> bool:
        """Tell whether somebody is in it; by their immutable id, which nobody chooses."""
        text = f"{self.salt}\0{source}\0{subject}".encode("utf-8", "surrogatepass")
        place = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
        return place * 100 < self.percent * 2**64


class Who(Part):
    """Whom a rule is for. Names are compared exactly as the identity provider writes them."""

    everyone: bool = False
    """Everybody, whatever their groups and roles."""
    groups: tuple[str, ...] = ()
    """Or members of any of these groups, nested ones as far as the identity provider tells."""
    roles: tuple[str, ...] = ()
    """Or holders of any of these roles."""
    subjects: tuple[str, ...] = ()
    """Or the people with these immutable ids (`sub`)."""
    ring: Ring | None = None
    """Only some of them."""
    clients: tuple[str, ...] = ()
    """Only sign-ins to these relying parties: client ids, entity ids, hosts; `*` stands for anything but
    `/`. Empty means to any."""
    networks: tuple[str, ...] = ()
    """Only sign-ins from these networks, such as `192.0.2.0/24`. Empty means from any."""
    protocols: tuple[Protocol, ...] = ()
    """Only sign-ins by these protocols. Empty means by any."""
    times: tuple[Hours, ...] = ()
    """Only sign-ins in these hours. Empty means at any time."""

    @field_validator("networks")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            try:
                ipaddress.ip_network(text)
            except ValueError as error:
                raise ValueError(f'"{text}" is no network, like 192.0.2.0/24 or 2001:db8::/32') from error
        return value

    @model_validator(mode="after")
    def _names_somebody(self) -> "Who":
        if not (self.everyone or self.groups or self.roles or self.subjects):
            raise ValueError("names nobody: set everyone, groups, roles or subjects")
        return self

    @property
    def needs_groups(self) -> bool:
        """Whether groups or roles must be known to tell who is meant."""
        return not self.everyone and bool(self.groups or self.roles)

    @property
    def is_everybody(self) -> bool:
        """Whether every sign-in of everybody is meant."""
        return self.everyone and not self._is_bound

    @property
    def _is_bound(self) -> bool:
        return bool(self.ring or self.clients or self.networks or self.protocols or self.times)

    def fit(self, situation: Situation) -> Fit:
        """Tell whether a sign-in is meant, and what speaks against it."""
        people = self._are_people(situation)
        if not self._is_bound:
            return _FITS if people else _OTHERS if people is False else _SOMEBODY
        verdicts = (("people", people), *self._bounds(situation))
        return Fit(
            tuple(condition for condition, holds in verdicts if holds is False),
            tuple(condition for condition, holds in verdicts if holds is None),
        )

    def includes(self, other: "Who", conditions: tuple[Condition, ...]) -> bool:
        """Tell whether whatever meets these conditions of another meets them here too."""
        return all(self._includes(other, condition) for condition in conditions)

    def _bounds(self, situation: Situation) -> Iterator[tuple[Condition, bool | None]]:
        if self.ring:
            known = bool(situation.subject)
            yield "ring", self.ring.includes(situation.source, situation.subject) if known else None
        if self.clients:
            yield "clients", _is_client(self.clients, situation.client_id) if situation.client_id else None
        if self.networks:
            yield "networks", _is_inside(self.networks, situation.address)
        if self.protocols:
            yield "protocols", situation.protocol in self.protocols if situation.protocol else None
        if self.times:
            moment = situation.at
            yield "times", None if moment is None else any(hours.include(moment) for hours in self.times)

    def _are_people(self, situation: Situation) -> bool | None:
        groups, roles = situation.groups, situation.roles
        if self.everyone or not (groups or frozenset()).isdisjoint(self.groups):
            return True
        if not (roles or frozenset()).isdisjoint(self.roles):
            return True
        if situation.subject and situation.subject in self.subjects:
            return True
        is_unknown = (self.groups and groups is None) or (self.roles and roles is None)
        return None if is_unknown or (self.subjects and not situation.subject) else False

    def _includes(self, other: "Who", condition: Condition) -> bool:
        if condition == "ring":
            mine, theirs = self.ring, other.ring
            same = mine and theirs and mine.salt == theirs.salt
            return mine is None or bool(same and theirs and theirs.percent <= mine.percent)
        names = ("groups", "roles", "subjects") if condition == "people" else (condition,)
        if condition == "people" and (self.everyone or other.everyone):
            return self.everyone
        pairs = [(getattr(self, name), getattr(other, name)) for name in names]
        stated = condition == "people" or bool(pairs[0][1])
        return stated and all(set(theirs) <= set(mine) for mine, theirs in pairs)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=1024)
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile("[^/]*".join(re.escape(piece) for piece in name.split("*")))


def _is_client(names: tuple[str, ...], client_id: str) -> bool:
    return client_id in names or any("*" in name and _pattern(name).fullmatch(client_id) for name in names)


@lru_cache(maxsize=256)
def _networks(texts: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _is_inside(networks: tuple[str, ...], text: str) -> bool | None:
    address = _address(text)
    return None if address is None else any(address in network for network in _networks(networks))


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address
