"""The searchable text of a task, which does not depend on the database's locale.

Revises: a81c5d7e2f46
"""

import sqlalchemy as sa
from alembic import op

revision: str = "c4e0b9d3a715"
down_revision: str | None = "a81c5d7e2f46"
branch_labels: None = None
depends_on: None = None

LOSSES: tuple[str, ...] = ()


def upgrade() -> None:
    """Add the column and fill it as well as the database can. Every later change of a task fills it exactly."""
    op.add_column("tasks", sa.Column("search_text", sa.Text(), nullable=True))
    if op.get_context().dialect.name == "sqlite":
        op.execute("UPDATE tasks SET search_text = lower(title || char(10) || coalesce(description, ''))")
    else:
        op.execute(
            "UPDATE tasks SET search_text = lower(normalize(title || chr(10) || coalesce(description, ''), NFKC))"
        )


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("tasks", "search_text")
