"""Turns that outlive their conversation: more states, a time zone, and references for undo and replacement.

Revises: c27f3b9d8e15
"""

import sqlalchemy as sa
from alembic import op

from migrations.columns import identifier, json, utc_now

revision: str = "f5b81e94d0a2"
down_revision: str | None = "c27f3b9d8e15"
branch_labels: None = None
depends_on: None = None

LOSSES = (
    "the turns of deleted conversations, and with them their idempotency keys",
    "which turns were queued, cancelled, undone and replaced",
)

STATES_BEFORE = ("running", "finished", "interrupted", "failed", "abandoned")
STATES = ("queued", *STATES_BEFORE, "cancelled", "replaced")
UNFINISHED = "status IN ('queued', 'running', 'interrupted')"


def upgrade() -> None:
    """Keep a turn, and with it its idempotency key, when its conversation is deleted."""
    with op.batch_alter_table("turns", copy_from=_turns(STATES_BEFORE, keeps_turns=False)) as turns:
        turns.add_column(sa.Column("time_zone", sa.String(64), nullable=True))
        turns.add_column(sa.Column("idle_attempts", sa.Integer(), nullable=False, server_default=sa.text("0")))
        turns.add_column(sa.Column("replaces_turn_id", sa.Uuid(), nullable=True))
        turns.add_column(sa.Column("undone_by_turn_id", sa.Uuid(), nullable=True))
        turns.alter_column("conversation_id", existing_type=identifier(), nullable=True)
        turns.drop_constraint("turns_conversation_id_fkey", type_="foreignkey")
        turns.create_foreign_key(
            "turns_conversation_id_fkey", "conversations", ["conversation_id"], ["id"], ondelete="SET NULL"
        )
        turns.drop_constraint("ck_turns_status", type_="check")
        turns.create_check_constraint("ck_turns_status", _one_of(STATES))
    unfinished = sa.text(UNFINISHED)
    op.create_index(
        "ix_turns_unfinished", "turns", ["lease_expires_at"], postgresql_where=unfinished, sqlite_where=unfinished
    )


def downgrade() -> None:
    """Forget the turns of deleted conversations, and give turns in a new state the nearest old one."""
    op.drop_index("ix_turns_unfinished", table_name="turns")
    op.execute("DELETE FROM turns WHERE conversation_id IS NULL")
    op.execute("UPDATE turns SET status = 'interrupted' WHERE status = 'queued'")
    op.execute("UPDATE turns SET status = 'abandoned' WHERE status IN ('cancelled', 'replaced')")
    with op.batch_alter_table("turns", copy_from=_turns(STATES, keeps_turns=True)) as turns:
        turns.drop_constraint("ck_turns_status", type_="check")
        turns.create_check_constraint("ck_turns_status", _one_of(STATES_BEFORE))
        turns.drop_constraint("turns_conversation_id_fkey", type_="foreignkey")
        turns.create_foreign_key(
            "turns_conversation_id_fkey", "conversations", ["conversation_id"], ["id"], ondelete="CASCADE"
        )
        turns.alter_column("conversation_id", existing_type=identifier(), nullable=False)
        for column in ("undone_by_turn_id", "replaces_turn_id", "idle_attempts", "time_zone"):
            turns.drop_column(column)


def _one_of(states: tuple[str, ...]) -> str:
    return f"status IN ({', '.join(repr(state) for state in states)})"


def _turns(states: tuple[str, ...], *, keeps_turns: bool) -> sa.Table:
    """Return the table before the change, for SQLite, which copies a table in order to alter it."""
    more = (
        (
            sa.Column("time_zone", sa.String(64), nullable=True),
            sa.Column("idle_attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
            sa.Column("replaces_turn_id", sa.Uuid(), nullable=True),
            sa.Column("undone_by_turn_id", sa.Uuid(), nullable=True),
        )
        if keeps_turns
        else ()
    )
    running = sa.text("status = 'running'")
    return sa.Table(
        "turns",
        sa.MetaData(),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", identifier(), nullable=keeps_turns),
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
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("provider_state", json(), nullable=True),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=True),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True),
        *more,
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name="turns_conversation_id_fkey",
            ondelete="SET NULL" if keeps_turns else "CASCADE",
        ),
        sa.UniqueConstraint("user_id", "idempotency_key", name="uq_turns_user_id_idempotency_key"),
        sa.CheckConstraint(_one_of(states), name="ck_turns_status"),
        sa.Index("ix_turns_conversation_id", "conversation_id"),
        sa.Index(
            "uq_turns_conversation_id_running",
            "conversation_id",
            unique=True,
            postgresql_where=running,
            sqlite_where=running,
        ),
    )
