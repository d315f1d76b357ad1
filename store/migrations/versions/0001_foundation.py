"""People, authenticators, postponements, policies, audit events, spent tokens."""

import sqlalchemy as sa
from alembic import op

from store.columns import Document, Moment, RowNumber

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("source", sa.String(500), nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("registered_at", Moment()),
        sa.Column("frozen_at", Moment()),
        sa.Column("seen_at", Moment()),
        sa.Column("directory_digest", sa.String(64)),
        sa.UniqueConstraint("source", "subject"),
    )
    op.create_table(
        "authenticators",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("person_id", sa.String(32), sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("lookup", sa.String(64), nullable=False),
        sa.Column("provenance", sa.String(40), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("confirmed_at", Moment(), nullable=False),
        sa.Column("trusted_from", Moment(), nullable=False),
        sa.Column("suspended_at", Moment()),
        sa.Column("last_step", RowNumber),
        sa.Column("confirmed_version", sa.Integer(), nullable=False),
        sa.UniqueConstraint("person_id", "kind", "number"),
    )
    op.create_index(None, "authenticators", ["kind", "lookup"])
    op.create_table(
        "target_states",
        sa.Column("person_id", sa.String(32), sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("target", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("at", Moment(), nullable=False),
    )
    op.create_table(
        "postponements",
        sa.Column("person_id", sa.String(32), sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("session", sa.String(64), primary_key=True),
        sa.Column("at", Moment(), nullable=False),
    )
    op.create_table(
        "doubts",
        sa.Column("person_id", sa.String(32), sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("why", sa.String(20), primary_key=True),
        sa.Column("at", Moment(), nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("version", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("document", Document, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("stored_at", Moment(), nullable=False),
    )
    op.create_table(
        "policy_proposals",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("document", Document, nullable=False),
        sa.Column("author", sa.String(200), nullable=False),
        sa.Column("base", sa.Integer(), nullable=False),
        sa.Column("proposed_at", Moment(), nullable=False),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", RowNumber, primary_key=True),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("action", sa.String(60), nullable=False),
        sa.Column("person_id", sa.String(32)),
        sa.Column("reference", sa.String(64), nullable=False),
        sa.Column("detail", Document, nullable=False),
    )
    op.create_index(None, "audit_events", ["person_id", "at"])
    op.create_index(None, "audit_events", ["action", "at"])
    op.create_index(None, "audit_events", ["reference"])
    op.create_table(
        "spent",
        sa.Column("purpose", sa.String(40), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("at", Moment(), nullable=False),
    )
    op.create_index(None, "spent", ["at"])
    op.create_table(
        "agents",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("directory", sa.String(64), nullable=False),
        sa.Column("signing", sa.String(80), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("joined_at", Moment(), nullable=False),
        sa.Column("revoked_at", Moment()),
    )
    op.create_index(None, "agents", ["directory"])
    op.create_table(
        "agent_invitations",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("directory", sa.String(64), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("used_at", Moment()),
    )


def downgrade() -> None:
    for table in ("agent_invitations", "agents", "spent", "audit_events", "policy_proposals", "policies", "doubts", "postponements", "target_states", "authenticators", "people"):
        op.drop_table(table)
