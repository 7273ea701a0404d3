"""Limits of a person: indexes that find somebody's turns of a day, and those in flight.

Revises: d7a1c95e3f08
"""

import sqlalchemy as sa
from alembic import op

revision: str = "c9d41e7ab603"
down_revision: str | None = "d7a1c95e3f08"
branch_labels: None = None
depends_on: None = None
LOSSES: tuple[str, ...] = ()

UNFINISHED = sa.text("status IN ('queued', 'running', 'interrupted')")


def upgrade() -> None:
    """Create the indexes."""
    op.create_index("ix_turns_user_id_created_at", "turns", ["user_id", "created_at"])
    op.create_index(
        "ix_turns_user_id_unfinished", "turns", ["user_id"], postgresql_where=UNFINISHED, sqlite_where=UNFINISHED
    )


def downgrade() -> None:
    """Drop the indexes."""
    op.drop_index("ix_turns_user_id_unfinished", table_name="turns")
    op.drop_index("ix_turns_user_id_created_at", table_name="turns")
