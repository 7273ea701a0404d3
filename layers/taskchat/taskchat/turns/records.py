"""What goes into a transition, and what comes out of it."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")


class Transaction(Protocol):
    """Runs work in one transaction; `taskchat.database.Database.transaction` is one."""

    def __call__(self, work: Callable[[Connection], Result], /) -> Result: ...


class AlreadyBegunError(Exception):
    """Raised when the idempotency key or the conversation is taken; `resume` finds out by whom."""


@dataclass(frozen=True)
class TurnRequest:
    """What a turn is begun or resumed with; `turn_id` is new, and used only if the key is."""

    turn_id: uuid.UUID
    user_id: uuid.UUID
    subject: str
    email: str | None
    idempotency_key: str
    request_hash: str
    conversation_id: int | None
    message: str


@dataclass(frozen=True)
class Lease:
    """The right to write to a turn; `attempt` counts from 1."""

    turn_id: uuid.UUID
    conversation_id: int
    attempt: int
    expires_at: datetime

    def extended(self, seconds: float) -> "Lease":
        """Return the lease that the next write leaves behind; it always runs out later than this one."""
        return replace(self, expires_at=max(lease_end(seconds), self.expires_at + timedelta(microseconds=1)))


@dataclass(frozen=True)
class Usage:
    """What the model's calls cost since the last write."""

    model: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class Reply:
    """A recorded message of the assistant; `tool_calls` is None for a final one."""

    message_id: int
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True)
class FinishedTurn:
    """A turn that was over before this request came; its replies are the steps and, last, the final one."""

    conversation_id: int
    replies: Sequence[Reply]


def lease_end(seconds: float) -> datetime:
    """Return the instant at which a lease of that many seconds, taken now, runs out."""
    return datetime.now(UTC) + timedelta(seconds=seconds)
