"""The data that goes into a transition and comes out of it."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from taskchat.models import TurnStatus
from taskchat.principal import Principal

CANCELLED_DETAIL = "This request was cancelled; send the message again as a new one."
SWEEP_AFTER_SECONDS = 60.0
"""Time that a turn waits for the worker before the sweep queues it again."""
LONGEST_LEASE_SECONDS = 60.0
"""A lease covers one model call, so a longer one means that a clock was changed. It counts as expired."""


@dataclass(frozen=True)
class TurnRequest:
    """A request to begin or to continue a turn. `turn_id` is used only if the idempotency key is new.

    `replaces_turn_id` names the newest turn of the conversation, which is undone and hidden.
    `time_zone` is stored with the turn, as a name that `taskchat.time_zones.parse` reads.
    """

    principal: Principal
    idempotency_key: str
    request_hash: str
    conversation_id: int | None
    message: str
    message_context: Mapping[str, Any] | None = None
    time_zone: str | None = None
    replaces_turn_id: uuid.UUID | None = None
    turn_id: uuid.UUID = field(default_factory=uuid.uuid4)


@dataclass(frozen=True)
class Lease:
    """The right to write to a turn. Every write names the token and replaces it, so no write can happen twice."""

    turn_id: uuid.UUID
    conversation_id: int
    attempt: int
    token: uuid.UUID

    def renewed(self) -> "Lease":
        """Return the lease that the next write leaves behind."""
        return replace(self, token=uuid.uuid4())


@dataclass(frozen=True)
class Usage:
    """The cost of one model call."""

    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class Reply:
    """A recorded message of the assistant; `tool_calls` is None for the final one.

    `model_context` is what the model's provider wants to see again with the message.
    """

    message_id: int
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None
    model_context: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class StartedTurn:
    """A turn that this invocation may work on, with the steps that earlier attempts recorded.

    `message_context` was stored beside the person's message, and `provider_state` with the last step.
    `idle_attempts` counts the attempts since the last recorded step, this one included.
    """

    lease: Lease
    steps: Sequence[Reply]
    message_context: Mapping[str, Any] | None = None
    provider_state: Mapping[str, Any] | None = None
    idle_attempts: int = 1


@dataclass(frozen=True)
class TakenTurn:
    """A turn that the worker took, with all that the person's request said."""

    started: StartedTurn
    principal: Principal
    message: str
    time_zone: str | None


@dataclass(frozen=True)
class AcceptedTurn:
    """A turn that goes on without its client. While it `is_running`, an invocation works on it."""

    turn_id: uuid.UUID
    is_running: bool = False


@dataclass(frozen=True)
class FinishedTurn:
    """A turn that had ended before this request came; the last reply is the final one."""

    turn_id: uuid.UUID
    conversation_id: int
    replies: Sequence[Reply]


@dataclass(frozen=True)
class TurnRecord:
    """A turn as its owner sees it. `response` and `message_id` are the final reply's.

    `error` says why the turn stopped. `usage` is None before the first answer of a model.
    """

    turn_id: uuid.UUID
    conversation_id: int | None
    status: TurnStatus
    tool_calls: Sequence[Mapping[str, Any]]
    response: str | None
    message_id: int | None
    error: str | None
    usage: Usage | None
    created_at: datetime
    finished_at: datetime | None
