"""Columns for data of the model's provider, and for cached and reasoning tokens.

Revises: d2f7a6183c90
"""

import sqlalchemy as sa
from alembic import op

from migrations.columns import json

revision: str = "c27f3b9d8e15"
down_revision: str | None = "d2f7a6183c90"
branch_labels: None = None
depends_on: None = None
LOSSES = ("the cached and reasoning tokens of all turns",)


def upgrade() -> None:
    """Add the columns. They are null for rows of the release before, which writes none of them."""
    op.add_column("messages", sa.Column("model_context", json(), nullable=True))
    op.add_column("turns", sa.Column("provider_state", json(), nullable=True))
    op.add_column("turns", sa.Column("cached_tokens", sa.BigInteger(), nullable=True))
    op.add_column("turns", sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    op.drop_column("turns", "reasoning_tokens")
    op.drop_column("turns", "cached_tokens")
    op.drop_column("turns", "provider_state")
    op.drop_column("messages", "model_context")
