"""The tables. Rows stay in this package; callers meet frozen dataclasses."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, MetaData, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from store.columns import Document, Moment, RowNumber


class Base(DeclarativeBase):
    """Constraint names are fixed, so that migrations can speak of them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {dt.datetime: Moment()}  # noqa: RUF012 - SQLAlchemy's own shape


class PersonRow(Base):
    """Somebody who was seen at the gate or registered something."""

    __tablename__ = "people"
    __table_args__ = (UniqueConstraint("source", "subject"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    source: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(500))
    epoch: Mapped[int]
    created_at: Mapped[dt.datetime]
    registered_at: Mapped[dt.datetime | None]
    frozen_at: Mapped[dt.datetime | None]
    seen_at: Mapped[dt.datetime | None]
    directory_digest: Mapped[str | None] = mapped_column(String(64))


class AuthenticatorRow(Base):
    """A bound means of proof; `secret` is sealed and bound to `id`."""

    __tablename__ = "authenticators"
    __table_args__ = (
        UniqueConstraint("person_id", "kind", "number"),
        Index(None, "kind", "lookup"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    number: Mapped[int]
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    lookup: Mapped[str] = mapped_column(String(64))
    provenance: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[dt.datetime]
    confirmed_at: Mapped[dt.datetime]
    trusted_from: Mapped[dt.datetime]
    suspended_at: Mapped[dt.datetime | None]
    last_step: Mapped[int | None] = mapped_column(RowNumber)
    confirmed_version: Mapped[int]


class TargetStateRow(Base):
    """What became of a person's last new password in one of several targets; never the password."""

    __tablename__ = "target_states"

    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    target: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(20))
    at: Mapped[dt.datetime]


class PostponementRow(Base):
    """One IdP session in which somebody said "later"; the session is kept as a digest."""

    __tablename__ = "postponements"

    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    session: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[dt.datetime]


class DoubtRow(Base):
    """One reason to ask somebody whether what is registered still is right."""

    __tablename__ = "doubts"

    person_id: Mapped[str] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    why: Mapped[str] = mapped_column(String(20), primary_key=True)
    at: Mapped[dt.datetime]


class PolicyRow(Base):
    """One version of the policy document; never changed."""

    __tablename__ = "policies"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]] = mapped_column(Document)
    author: Mapped[str] = mapped_column(String(200))
    stored_at: Mapped[dt.datetime]


class ProposalRow(Base):
    """A version of the policy document that waits for a second person (S23)."""

    __tablename__ = "policy_proposals"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]] = mapped_column(Document)
    author: Mapped[str] = mapped_column(String(200))
    base: Mapped[int]
    proposed_at: Mapped[dt.datetime]


class AuditRow(Base):
    """One audit event. No foreign key: events outlive the person's record."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "person_id", "at"),
        Index(None, "action", "at"),
        Index(None, "reference"),
    )

    id: Mapped[int] = mapped_column(RowNumber, primary_key=True)
    at: Mapped[dt.datetime]
    action: Mapped[str] = mapped_column(String(60))
    person_id: Mapped[str | None] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(Document)


class SpentRow(Base):
    """Something that may be used once was used (S16)."""

    __tablename__ = "spent"

    purpose: Mapped[str] = mapped_column(String(40), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(index=True)


class AgentRow(Base):
    """A writeback agent that joined; revoked ones stay, so that their ids are never anybody else's."""

    __tablename__ = "agents"
    __table_args__ = (Index(None, "directory"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    directory: Mapped[str] = mapped_column(String(64))
    signing: Mapped[str] = mapped_column(String(80))
    generation: Mapped[int]
    joined_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]


class AgentInvitationRow(Base):
    """A token with which one agent may join, as a digest."""

    __tablename__ = "agent_invitations"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    directory: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]
