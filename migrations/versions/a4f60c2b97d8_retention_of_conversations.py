"""Retention: the sweep may delete conversations.

Revises: c9d41e7ab603
"""

from migrations.row_security import SWEEP_ROLE, execute, open_to_sweep

revision: str = "a4f60c2b97d8"
down_revision: str | None = "c9d41e7ab603"
branch_labels: None = None
depends_on: None = None
LOSSES: tuple[str, ...] = ()

# PostgreSQL lets a role lock a row if the role may update a column of it.
SECURITY = open_to_sweep("conversations", "SELECT (id, updated_at), UPDATE (updated_at), DELETE")
"""Statements that may run again; the migrate function restores row-level security with them."""


def upgrade() -> None:
    """Let the sweep find and delete conversations, and read no title."""
    execute(SECURITY)


def downgrade() -> None:
    """Take the conversations from the sweep."""
    execute((f"DROP POLICY {SWEEP_ROLE} ON conversations", f"REVOKE ALL ON conversations FROM {SWEEP_ROLE}"))
