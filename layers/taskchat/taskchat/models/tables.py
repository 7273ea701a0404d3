"""The tables, as SQLModel classes and, for queries, as SQLAlchemy tables."""

import enum
import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from taskchat.models.clock import UtcDateTime
from taskchat.models.columns import (
    TITLE_CHARACTERS,
    created_now,
    enum_type,
    id_column,
    json_type,
    reference,
    updated_now,
    user_reference,
)

_IDS_ARE_NEVER_REUSED = {"sqlite_autoincrement": True}
"""An old message that says "task 4" must never refer to another task."""


class Priority(enum.StrEnum):
    """The urgency of a task, lowest first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Role(enum.StrEnum):
    """The author of a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class ConversationKind(enum.StrEnum):
    """The use of a conversation."""

    CHAT = "chat"
    """A person talks to the assistant."""
    CLIENT = "client"
    """Records of changes by a program, such as an MCP client."""


class Rating(enum.StrEnum):
    """A person's opinion of a reply."""

    UP = "up"
    DOWN = "down"


class TurnStatus(enum.StrEnum):
    """The state of a turn; `taskchat.turns.transitions` draws the transitions."""

    QUEUED = "queued"
    """Accepted, and not begun. The worker will run it."""
    RUNNING = "running"
    """An invocation holds the lease, or died while it held it. A conversation has at most one such turn."""
    FINISHED = "finished"
    """The reply is recorded, and the same request replays it. Final."""
    INTERRUPTED = "interrupted"
    """Stopped by a fault that passes. The same request continues after the last recorded step."""
    FAILED = "failed"
    """Stopped by a fault that does not pass by itself, such as a refused API key. The same request still continues."""
    ABANDONED = "abandoned"
    """The lease expired and a newer message took the conversation. Final."""
    CANCELLED = "cancelled"
    """The person stopped it, or deleted its conversation. Final."""
    REPLACED = "replaced"
    """The person edited its message or asked again. Its effects are undone. Final."""


IN_FLIGHT = (TurnStatus.QUEUED, TurnStatus.RUNNING)
"""States in which a turn is worked on, or waits for the worker."""
UNDER_WAY = (*IN_FLIGHT, TurnStatus.INTERRUPTED)
"""States that a turn leaves by itself."""
CANCELLABLE = (*UNDER_WAY, TurnStatus.FAILED)
"""States from which a turn can still go on, and in which it can be cancelled."""
_UNFINISHED = "status IN ('queued', 'running', 'interrupted')"


class User(SQLModel, table=True):
    """A person. The id is derived from the subject (`taskchat.principal`), so no query is needed to know it."""

    __tablename__ = "users"

    id: uuid.UUID = Field(primary_key=True)
    subject: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    email: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = created_now()


class Task(SQLModel, table=True):
    """Something that a person wants done."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_user_id_completed_due_at_id", "user_id", "completed", "due_at", "id"),
        _IDS_ARE_NEVER_REUSED,
    )

    id: int = id_column()
    user_id: uuid.UUID = user_reference()
    title: str = Field(sa_column=Column(String(TITLE_CHARACTERS), nullable=False))
    description: str | None = Field(default=None, sa_column=Column(Text))
    search_text: str | None = Field(default=None, sa_column=Column(Text))
    priority: Priority = Field(
        default=Priority.NORMAL,
        sa_column=Column(
            enum_type(Priority, "ck_tasks_priority", 10), nullable=False, server_default=Priority.NORMAL.value
        ),
    )
    due_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    completed: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": text("false")})
    completed_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    created_at: datetime = created_now()
    updated_at: datetime = updated_now()


class Conversation(SQLModel, table=True):
    """A thread of messages between one person and the assistant."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index("ix_conversations_user_id", "user_id"),
        Index("ix_conversations_updated_at", "updated_at"),
        Index("ix_conversations_user_id_updated_at_id", "user_id", "updated_at", "id"),
        Index("ix_conversations_user_id_kind_updated_at_id", "user_id", "kind", "updated_at", "id"),
        _IDS_ARE_NEVER_REUSED,
    )

    id: int = id_column()
    user_id: uuid.UUID = user_reference()
    title: str | None = Field(default=None, sa_column=Column(String(TITLE_CHARACTERS)))
    kind: ConversationKind = Field(
        default=ConversationKind.CHAT,
        sa_column=Column(
            enum_type(ConversationKind, "ck_conversations_kind", 10),
            nullable=False,
            server_default=ConversationKind.CHAT.value,
        ),
    )
    created_at: datetime = created_now()
    updated_at: datetime = created_now()


class Turn(SQLModel, table=True):
    """Everything between a person's message and the final reply.

    The id is made by the invocation, so that the row and its first message can be written in one statement. The
    lease is `lease_token` with `lease_expires_at`; an invocation that does not hold the token can write nothing.
    """

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("user_id", "idempotency_key", name="uq_turns_user_id_idempotency_key"),
        Index(
            "uq_turns_conversation_id_running",
            "conversation_id",
            unique=True,
            postgresql_where=text("status = 'running'"),
            sqlite_where=text("status = 'running'"),
        ),
        Index("ix_turns_conversation_id", "conversation_id"),
        Index("ix_turns_user_id_created_at", "user_id", "created_at"),
        Index(
            "ix_turns_user_id_unfinished",
            "user_id",
            postgresql_where=text(_UNFINISHED),
            sqlite_where=text(_UNFINISHED),
        ),
        Index(
            "ix_turns_unfinished",
            "lease_expires_at",
            postgresql_where=text(_UNFINISHED),
            sqlite_where=text(_UNFINISHED),
        ),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = user_reference()
    conversation_id: int | None = reference("conversations.id", ondelete="SET NULL")
    """Null after the conversation was deleted. The key outlives it, so that a late repetition does nothing."""
    idempotency_key: str = Field(sa_column=Column(String(255), nullable=False))
    request_hash: str = Field(sa_column=Column(String(64), nullable=False))
    status: TurnStatus = Field(sa_column=Column(enum_type(TurnStatus, "ck_turns_status", 20), nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    lease_token: uuid.UUID | None = Field(default=None)
    lease_expires_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text))
    model: str | None = Field(default=None, sa_column=Column(Text))
    input_tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    cached_tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    output_tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    reasoning_tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    provider_state: dict[str, Any] | None = Field(default=None, sa_column=Column(json_type()))
    """Data that the model's provider gets back with the next step. Null for a turn that has ended."""
    created_at: datetime = created_now()
    finished_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    time_zone: str | None = Field(default=None, sa_column=Column(String(64)))
    idle_attempts: int = Field(default=0, nullable=False, sa_column_kwargs={"server_default": text("0")})
    """Attempts since the last recorded step."""
    replaces_turn_id: uuid.UUID | None = Field(default=None)
    undone_by_turn_id: uuid.UUID | None = Field(default=None)


class Message(SQLModel, table=True):
    """One entry of the audit trail. Triggers refuse updates, and deletion apart from its conversation."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_conversation_id", "conversation_id"),
        Index("idx_messages_conversation_created", "conversation_id", "created_at"),
        Index("ix_messages_conversation_id_id", "conversation_id", "id"),
        Index("ix_messages_turn_id", "turn_id"),
        _IDS_ARE_NEVER_REUSED,
    )

    id: int = id_column()
    conversation_id: int = reference("conversations.id")
    turn_id: uuid.UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("turns.id", ondelete="CASCADE"), nullable=True)
    )
    role: Role = Field(sa_column=Column(enum_type(Role, "ck_messages_role", 20), nullable=False))
    content: str = Field(sa_column=Column(Text, nullable=False))
    tool_calls: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(json_type()))
    model_context: dict[str, Any] | None = Field(default=None, sa_column=Column(json_type()))
    """Data for the model: the time at which a person sent the message, or data of its provider."""
    created_at: datetime = created_now()


class Feedback(SQLModel, table=True):
    """A person's rating of a reply, which goes with its message."""

    __tablename__ = "feedback"
    __table_args__ = (Index("ix_feedback_user_id", "user_id"),)

    message_id: int = Field(
        sa_column=Column(
            BigInteger().with_variant(Integer(), "sqlite"),
            ForeignKey("messages.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        )
    )
    user_id: uuid.UUID = user_reference()
    rating: Rating = Field(sa_column=Column(enum_type(Rating, "ck_feedback_rating", 10), nullable=False))
    comment: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = created_now()
    updated_at: datetime = updated_now()


USERS, TASKS, CONVERSATIONS, TURNS, MESSAGES, FEEDBACK = (
    SQLModel.metadata.tables[name] for name in ("users", "tasks", "conversations", "turns", "messages", "feedback")
)
