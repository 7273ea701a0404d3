"""Turns, and triggers that make messages append-only.

Revises: bcde77eeb26a
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations import append_only
from migrations.columns import identifier, json, utc_now

revision: str = "e3a95b60d1c8"
down_revision: str | None = "bcde77eeb26a"
branch_labels: None = None
depends_on: None = None

LOSSES = ("all turns, and with them the idempotency keys: a request that is sent again is carried out again",)


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", identifier(), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("request_hash", sa.String(64), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=utc_now(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("user_id", "idempotency_key", name="uq_turns_user_id_idempotency_key"),
        sa.CheckConstraint(
            "status IN ('running', 'finished', 'interrupted', 'failed', 'abandoned')", name="ck_turns_status"
        ),
    )
    running = sa.text("status = 'running'")
    op.create_index(
        "uq_turns_conversation_id_running",
        "turns",
        ["conversation_id"],
        unique=True,
        postgresql_where=running,
        sqlite_where=running,
    )
    op.create_index("ix_turns_conversation_id", "turns", ["conversation_id"])
    with op.batch_alter_table("messages", copy_from=_messages()) as messages:
        messages.add_column(sa.Column("turn_id", sa.Uuid(), nullable=True))
        messages.create_foreign_key("messages_turn_id_fkey", "turns", ["turn_id"], ["id"], ondelete="CASCADE")
    op.create_index("ix_messages_turn_id", "messages", ["turn_id"])
    for statement in append_only.CREATE[op.get_context().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    if _is_sqlite():
        for event in ("update", "delete", "replace"):
            op.execute(f"DROP TRIGGER messages_append_only_{event}")
    else:
        op.execute("DROP TRIGGER messages_append_only_truncate ON messages")
        op.execute("DROP TRIGGER messages_append_only ON messages")
        op.execute("DROP FUNCTION refuse_change_of_messages()")
    # The column goes before the table that it refers to. Otherwise the messages would be deleted by cascade.
    op.drop_index("ix_messages_turn_id", table_name="messages")
    turn_id = sa.Column("turn_id", sa.Uuid(), nullable=True)
    with op.batch_alter_table("messages", copy_from=_messages(turn_id)) as messages:
        messages.drop_column("turn_id")
    op.drop_table("turns")


def _messages(*more: sa.Column[Any]) -> sa.Table:
    """Return the table of revision bcde77eeb26a: SQLite copies a table to alter it."""
    return sa.Table(
        "messages",
        sa.MetaData(),
        sa.Column("id", identifier(), nullable=False),
        sa.Column("conversation_id", identifier(), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("tool_calls", json(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=utc_now(), nullable=False),
        *more,
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["conversation_id"], ["conversations.id"], ondelete="CASCADE"),
        sa.CheckConstraint("role IN ('user', 'assistant', 'system')", name="ck_messages_role"),
        sa.Index("ix_messages_conversation_id", "conversation_id"),
        sa.Index("idx_messages_conversation_created", "conversation_id", "created_at"),
    )


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"
