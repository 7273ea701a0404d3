"""A random token for the lease of a turn.

Revises: e3a95b60d1c8
"""

import sqlalchemy as sa
from alembic import op

revision: str = "a81c5d7e2f46"
down_revision: str | None = "e3a95b60d1c8"
branch_labels: None = None
depends_on: None = None

LOSSES: tuple[str, ...] = ()


def upgrade() -> None:
    """Add the column. It is null for turns of the release before."""
    op.add_column("turns", sa.Column("lease_token", sa.Uuid(), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("turns", "lease_token")
