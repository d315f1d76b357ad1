"""What somebody who must prove who they are may choose from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OfferedKind:
    """One way to prove who you are, as the pages may show it now."""

    kind: str
    masked: tuple[str, ...] = ()
    """Masked destinations like `j•••@e•••.org`; empty before the first proof and for kinds without one."""
    way: str = ""
    """The channel; empty where the kind has but one."""
    asks_destination: bool = False
    """Whether the person types the whole destination first (S4)."""

    @property
    def choice(self) -> str:
        """A name for it among all that are offered, like `mobile_phone.sms`."""
        return f"{self.kind}.{self.way}" if self.way else self.kind
