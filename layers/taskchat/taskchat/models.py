"""The tables. Their names, columns and indexes are a contract; `migrations/` creates them."""

import enum
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

SMALLEST_ID = 1
LARGEST_ID = 2**63 - 1
TITLE_CHARACTERS = 200
_NEVER_REUSED = {"sqlite_autoincrement": True}
"""An id that was deleted is not given out again: "task 4" in an old message must not mean another task."""


class Priority(enum.StrEnum):
    """How urgent a task is, least first."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"
    URGENT = "urgent"


class Role(enum.StrEnum):
    """Who speaks in a message."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class TurnStatus(enum.StrEnum):
    """Where a turn stands. `taskchat.turns.transitions` says how it gets there."""

    RUNNING = "running"
    """An invocation holds the lease, or died holding it; at most one turn of a conversation is here."""
    FINISHED = "finished"
    """The reply is recorded; the same request replays it. Final."""
    INTERRUPTED = "interrupted"
    """It stopped before its end (time, a model out of reach); the same request goes on after the last step."""
    FAILED = "failed"
    """It met what a repetition would meet again (refused credentials, a defect); the same request still goes on."""
    ABANDONED = "abandoned"
    """Its lease ran out, and a newer message took the conversation over. Final."""


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware, in UTC. SQLite keeps no zone, so there it is stored as UTC and read back as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime is not an instant")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class utc_now(FunctionElement[datetime]):  # noqa: N801 - a SQL function, named as one
    """The database's clock at this statement; `now()` would be one value for a whole transaction."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now)
def _utc_now_on_postgres(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(utc_now, "sqlite")
def _utc_now_on_sqlite(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


def _id() -> Any:
    return Field(
        default=None,
        sa_column=Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    )


def _reference(target: str) -> Any:
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Field(sa_column=Column(kind, ForeignKey(target, ondelete="CASCADE"), nullable=False))


def _user_reference() -> Any:
    return Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))


def _choice(kind: type[enum.StrEnum], constraint: str, length: int) -> Enum:
    """A column that holds one of the enum's values, as text that the database checks."""
    return Enum(
        kind,
        name=constraint,
        length=length,
        native_enum=False,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


def _now(*, changes: bool = False) -> Any:
    onupdate = utc_now() if changes else None
    return Field(
        default=None,
        sa_column=Column(UtcDateTime, nullable=False, server_default=utc_now(), onupdate=onupdate),
    )


class _Record(SQLModel):
    """What all tables share: Pydantic's validators are made when a first object is, and a function makes none."""

    model_config = {"defer_build": True}


class User(_Record, table=True):
    """A person; the id follows from the subject (`taskchat.principal`), so that knowing it costs no query."""

    __tablename__ = "users"

    id: uuid.UUID = Field(primary_key=True)
    subject: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    email: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = _now()


class Task(_Record, table=True):
    """Something that a person wants done."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_user_id_completed_due_at_id", "user_id", "completed", "due_at", "id"),
        _NEVER_REUSED,
    )

    id: int = _id()
    user_id: uuid.UUID = _user_reference()
    title: str = Field(sa_column=Column(String(TITLE_CHARACTERS), nullable=False))
    description: str | None = Field(default=None, sa_column=Column(Text))
    priority: Priority = Field(
        default=Priority.NORMAL,
        sa_column=Column(
            _choice(Priority, "ck_tasks_priority", 10), nullable=False, server_default=Priority.NORMAL.value
        ),
    )
    due_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    completed: bool = Field(default=False, nullable=False, sa_column_kwargs={"server_default": text("false")})
    completed_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))
    created_at: datetime = _now()
    updated_at: datetime = _now(changes=True)


class Conversation(_Record, table=True):
    """A thread of messages between one person and the assistant."""

    __tablename__ = "conversations"
    __table_args__ = (
        Index("ix_conversations_user_id", "user_id"),
        Index("ix_conversations_updated_at", "updated_at"),
        Index("ix_conversations_user_id_updated_at_id", "user_id", "updated_at", "id"),
        _NEVER_REUSED,
    )

    id: int = _id()
    user_id: uuid.UUID = _user_reference()
    title: str | None = Field(default=None, sa_column=Column(String(TITLE_CHARACTERS)))
    created_at: datetime = _now()
    updated_at: datetime = _now()


class Turn(_Record, table=True):
    """Everything between a person's message and the final reply.

    The id is made by the invocation, so that the row and its first message can be written together. A lease is
    `attempt` (the fencing token) with `lease_expires_at`; whoever does not hold both writes nothing.
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
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: uuid.UUID = _user_reference()
    conversation_id: int = _reference("conversations.id")
    idempotency_key: str = Field(sa_column=Column(String(255), nullable=False))
    request_hash: str = Field(sa_column=Column(String(64), nullable=False))
    status: TurnStatus = Field(sa_column=Column(_choice(TurnStatus, "ck_turns_status", 20), nullable=False))
    attempt: int = Field(sa_column=Column(Integer, nullable=False))
    lease_expires_at: datetime = Field(sa_column=Column(UtcDateTime, nullable=False))
    error: str | None = Field(default=None, sa_column=Column(Text))
    model: str | None = Field(default=None, sa_column=Column(Text))
    input_tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    output_tokens: int | None = Field(default=None, sa_column=Column(BigInteger))
    created_at: datetime = _now()
    finished_at: datetime | None = Field(default=None, sa_column=Column(UtcDateTime))


class Message(_Record, table=True):
    """One entry of the audit trail. Never updated, and deleted only with its conversation: a trigger sees to it."""

    __tablename__ = "messages"
    __table_args__ = (
        Index("ix_messages_conversation_id", "conversation_id"),
        Index("idx_messages_conversation_created", "conversation_id", "created_at"),
        Index("ix_messages_turn_id", "turn_id"),
        _NEVER_REUSED,
    )

    id: int = _id()
    conversation_id: int = _reference("conversations.id")
    turn_id: uuid.UUID | None = Field(
        default=None, sa_column=Column(ForeignKey("turns.id", ondelete="CASCADE"), nullable=True)
    )
    role: Role = Field(sa_column=Column(_choice(Role, "ck_messages_role", 20), nullable=False))
    content: str = Field(sa_column=Column(Text, nullable=False))
    tool_calls: list[dict[str, Any]] | None = Field(
        default=None,
        sa_column=Column(JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")),
    )
    created_at: datetime = _now()
