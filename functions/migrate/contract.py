"""The contract: the tables, columns, indexes, triggers and policies that the database must have.

It is written down apart from the models and the revisions, so that a change of those cannot change it by mistake.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Columns = tuple[str, ...]


@dataclass(frozen=True)
class Access:
    """The rows of a table that a role of PostgreSQL may reach, and its privileges there."""

    rows: str
    """The condition of the role's only policy."""
    privileges: Columns = ()
    """Privileges on the whole table."""
    check: str = ""
    """The policy's condition for a row that is written, if it is another one."""
    columns: Mapping[str, Columns] = field(default_factory=dict)
    """Columns on which the role has a privilege, by the privilege, apart from the whole table."""


@dataclass(frozen=True)
class Table:
    """The columns of a table, and the indexes, constraints, triggers and policies on them."""

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
    access: Mapping[str, Access] = field(default_factory=dict)
    """Access of the roles of the functions, by the role."""


APP_ROLE = "taskchat_app"
SWEEP_ROLE = "taskchat_sweep"
ROLES = (APP_ROLE, SWEEP_ROLE)
"""The roles that the functions take. They own nothing, and cannot log in or bypass row-level security."""
TURN_USER = "taskchat_turn_user"
"""The only function by which a role reaches a row of somebody else: it returns the user of a turn."""
_PERSON = "(SELECT nullif(current_setting('taskchat.user_id', true), '')::uuid)"
_OWN_CONVERSATION = (
    "EXISTS (SELECT FROM conversations WHERE conversations.id = {}.conversation_id"
    " AND conversations.user_id = " + _PERSON + " OFFSET 0)"
)
_OWN_FEEDBACK = f"user_id = {_PERSON} AND EXISTS (SELECT FROM messages WHERE messages.id = feedback.message_id)"
_ALL = ("SELECT", "INSERT", "UPDATE", "DELETE")
_OWN_ROWS = {APP_ROLE: Access(f"user_id = {_PERSON}", _ALL)}


TABLES: Mapping[str, Table] = {
    "users": Table(
        required=("id", "subject", "created_at"),
        optional=("email",),
        unique=[("subject",)],
        defaults={"created_at": ""},
        access={APP_ROLE: Access(f"id = {_PERSON}", _ALL)},
    ),
    "tasks": Table(
        required=("id", "user_id", "title", "priority", "completed", "created_at", "updated_at"),
        optional=("description", "search_text", "due_at", "completed_at"),
        references={"user_id": ("users", "CASCADE")},
        defaults={"priority": "normal", "completed": "", "created_at": "", "updated_at": ""},
        access=_OWN_ROWS,
    ),
    "conversations": Table(
        required=("id", "user_id", "kind", "created_at", "updated_at"),
        optional=("title",),
        indexes={
            "ix_conversations_user_id": ("user_id",),
            "ix_conversations_updated_at": ("updated_at",),
            "ix_conversations_user_id_updated_at_id": ("user_id", "updated_at", "id"),
            "ix_conversations_user_id_kind_updated_at_id": ("user_id", "kind", "updated_at", "id"),
        },
        references={"user_id": ("users", "CASCADE")},
        defaults={"kind": "chat", "created_at": "", "updated_at": ""},
        access={
            **_OWN_ROWS,
            SWEEP_ROLE: Access(
                rows="true",
                privileges=("DELETE",),
                columns={"SELECT": ("id", "updated_at"), "UPDATE": ("updated_at",)},
            ),
        },
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
        access={APP_ROLE: Access(_OWN_CONVERSATION.format("messages"), ("SELECT", "INSERT"))},
    ),
    "feedback": Table(
        required=("message_id", "user_id", "rating", "created_at", "updated_at"),
        optional=("comment",),
        indexes={"ix_feedback_user_id": ("user_id",)},
        references={"message_id": ("messages", "CASCADE"), "user_id": ("users", "CASCADE")},
        defaults={"created_at": "", "updated_at": ""},
        access={APP_ROLE: Access(f"user_id = {_PERSON}", _ALL, check=_OWN_FEEDBACK)},
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
            "ix_turns_user_id_created_at": ("user_id", "created_at"),
            "ix_turns_user_id_unfinished": ("user_id",),
        },
        unique=[("user_id", "idempotency_key")],
        unique_where={"uq_turns_conversation_id_running": "running"},
        references={"user_id": ("users", "CASCADE"), "conversation_id": ("conversations", "SET NULL")},
        defaults={"created_at": ""},
        access={
            APP_ROLE: Access(
                rows=f"user_id = {_PERSON}",
                check=f"user_id = {_PERSON} AND (conversation_id IS NULL OR {_OWN_CONVERSATION.format('turns')})",
                privileges=("SELECT", "INSERT", "UPDATE"),
            ),
            SWEEP_ROLE: Access(
                rows="true",
                privileges=("DELETE",),
                columns={
                    "SELECT": ("id", "user_id", "conversation_id", "status", "error", "lease_expires_at", "created_at"),
                    "UPDATE": ("status", "error", "lease_expires_at"),
                },
            ),
        },
    ),
}
