"""Kinds of conversations, and people's ratings of replies.

Revises: b6d20f83e4c1
"""

import sqlalchemy as sa
from alembic import op

from migrations.columns import identifier, utc_now
from migrations.row_security import OWN_ROW, execute, protect, unprotect

revision: str = "d7a1c95e3f08"
down_revision: str | None = "b6d20f83e4c1"
branch_labels: None = None
depends_on: None = None
LOSSES = ("which conversations record the calls of clients", "the ratings of replies")

# References are checked by the owner of the tables, who sees other people's messages.
OWN_FEEDBACK = f"{OWN_ROW} AND EXISTS (SELECT FROM messages WHERE messages.id = feedback.message_id)"
SECURITY = protect("feedback", "SELECT, INSERT, UPDATE, DELETE", check=OWN_FEEDBACK)
"""Statements that may run again; the migrate function restores row-level security with them."""


def upgrade() -> None:
    """Find the conversations of clients by their keys, which contain a space and so cannot be those of POST /chat."""
    # Alembic would copy the whole table on SQLite to add a constraint.
    op.execute(
        "ALTER TABLE conversations ADD COLUMN kind VARCHAR(10) DEFAULT 'chat' NOT NULL"
        " CONSTRAINT ck_conversations_kind CHECK (kind IN ('chat', 'client'))"
    )
    op.execute(
        "UPDATE conversations SET kind = 'client'"
        " WHERE id IN (SELECT conversation_id FROM turns WHERE idempotency_key LIKE 'client %')"
    )
    op.create_index(
        "ix_conversations_user_id_kind_updated_at_id", "conversations", ["user_id", "kind", "updated_at", "id"]
    )
    op.create_table(
        "feedback",
        sa.Column("message_id", identifier(), autoincrement=False, nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("rating", sa.String(10), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=utc_now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=utc_now(), nullable=False),
        sa.PrimaryKeyConstraint("message_id"),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.CheckConstraint("rating IN ('up', 'down')", name="ck_feedback_rating"),
    )
    op.create_index("ix_feedback_user_id", "feedback", ["user_id"])
    execute(SECURITY)


def downgrade() -> None:
    """Drop the ratings and the column."""
    execute(unprotect("feedback"))
    op.drop_table("feedback")
    op.drop_index("ix_conversations_user_id_kind_updated_at_id", table_name="conversations")
    op.execute("ALTER TABLE conversations DROP COLUMN kind")
