"""The contract: the tables, columns, indexes and triggers that the database must have.

It is written down apart from the models and the revisions, so that a change of those cannot change it by mistake.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Columns = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The columns of a table, and the indexes, constraints and triggers on them."""

    required: Columns
    """Columns that are not null."""
    optional: Columns = ()
    """Columns that may be null."""
    indexes: Mapping[str, Columns] = field(default_factory=dict)
    """The columns of an index, by its name."""
    unique: Sequence[Columns] = ()
    """Columns with a unique constraint."""
    unique_where: Mapping[str, str] = field(default_factory=dict)
    """A word of the condition of a partial unique index, by the name of the index."""
    references: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """The table that a column refers to, and what ON DELETE does."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """A part of a column's server default."""
    triggers: Mapping[str, Columns] = field(default_factory=dict)
    """The triggers that must exist and be enabled, by the kind of database."""


TABLES: Mapping[str, Table] = {
    "users": Table(
        required=("id", "subject", "created_at"),
        optional=("email",),
        unique=[("subject",)],
        defaults={"created_at": ""},
    ),
    "tasks": Table(
        required=("id", "user_id", "title", "priority", "completed", "created_at", "updated_at"),
        optional=("description", "search_text", "due_at", "completed_at"),
        references={"user_id": ("users", "CASCADE")},
        defaults={"priority": "normal", "completed": "", "created_at": "", "updated_at": ""},
    ),
    "conversations": Table(
        required=("id", "user_id", "created_at", "updated_at"),
        optional=("title",),
        indexes={
            "ix_conversations_user_id": ("user_id",),
            "ix_conversations_updated_at": ("updated_at",),
            "ix_conversations_user_id_updated_at_id": ("user_id", "updated_at", "id"),
        },
        references={"user_id": ("users", "CASCADE")},
        defaults={"created_at": "", "updated_at": ""},
    ),
    "messages": Table(
        required=("id", "conversation_id", "role", "content", "created_at"),
        optional=("turn_id", "tool_calls", "model_context"),
        indexes={
            "ix_messages_conversation_id": ("conversation_id",),
            "idx_messages_conversation_created": ("conversation_id", "created_at"),
            "ix_messages_conversation_id_id": ("conversation_id", "id"),
        },
        references={"conversation_id": ("conversations", "CASCADE"), "turn_id": ("turns", "CASCADE")},
        defaults={"created_at": ""},
        triggers={
            "postgresql": ("messages_append_only", "messages_append_only_truncate"),
            "sqlite": (
                "messages_append_only_delete",
                "messages_append_only_replace",
                "messages_append_only_update",
            ),
        },
    ),
    "turns": Table(
        required=(
            "id",
            "user_id",
            "idempotency_key",
            "request_hash",
            "status",
            "attempt",
            "idle_attempts",
            "lease_expires_at",
            "created_at",
        ),
        optional=(
            "conversation_id",
            "lease_token",
            "error",
            "model",
            "input_tokens",
            "cached_tokens",
            "output_tokens",
            "reasoning_tokens",
            "provider_state",
            "finished_at",
            "time_zone",
            "replaces_turn_id",
            "undone_by_turn_id",
        ),
        indexes={
            "uq_turns_conversation_id_running": ("conversation_id",),
            "ix_turns_unfinished": ("lease_expires_at",),
        },
        unique=[("user_id", "idempotency_key")],
        unique_where={"uq_turns_conversation_id_running": "running"},
        references={"user_id": ("users", "CASCADE"), "conversation_id": ("conversations", "SET NULL")},
        defaults={"created_at": ""},
    ),
}
