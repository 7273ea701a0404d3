"""An index for the order of messages, which is the order of their ids and depends on no clock.

Revises: c4e0b9d3a715
"""

from alembic import op

revision: str = "d2f7a6183c90"
down_revision: str | None = "c4e0b9d3a715"
branch_labels: None = None
depends_on: None = None

LOSSES: tuple[str, ...] = ()


def upgrade() -> None:
    """Create the index."""
    op.create_index("ix_messages_conversation_id_id", "messages", ["conversation_id", "id"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("ix_messages_conversation_id_id", table_name="messages")
