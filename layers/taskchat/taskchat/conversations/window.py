"""The window of history that a model reads."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat.conversations.pages import is_own
from taskchat.models import MESSAGES, Role

BYTES_PER_TOKEN = 4
"""A rule of thumb for English. Bytes, because scripts that take more bytes take more tokens too."""


@dataclass(frozen=True, slots=True)
class WindowMessage:
    """A message for the model; `tool_calls` holds elements of the audit trail, or None.

    `model_context` is what the model is told beside the message, and is read by `taskchat.agent`.
    """

    role: Role
    content: str
    tool_calls: Sequence[dict[str, Any]] | None
    model_context: dict[str, Any] | None = None


def load_window(
    connection: Connection,
    user_id: uuid.UUID,
    conversation_id: int,
    *,
    messages: int,
    tokens: int,
    before_turn: uuid.UUID,
) -> list[WindowMessage]:
    """Return the newest messages of a person's conversation, oldest first, within both limits.

    The window starts at a user message, so that no tool result stands without its call. It is empty if not even the
    newest exchange fits, or if the conversation is somebody else's. Messages of
    the turn `before_turn` are left out.
    """
    statement = (
        sa.select(MESSAGES.c.role, MESSAGES.c.content, MESSAGES.c.tool_calls, MESSAGES.c.model_context)
        .where(
            MESSAGES.c.conversation_id == conversation_id,
            sa.exists().where(is_own(user_id, conversation_id)),
            MESSAGES.c.turn_id.is_distinct_from(before_turn),
        )
        .order_by(MESSAGES.c.created_at.desc(), MESSAGES.c.id.desc())
        .limit(messages)
    )
    return _cut([WindowMessage(*row) for row in connection.execute(statement)], tokens)


def estimated_tokens(message: WindowMessage) -> int:
    """Estimate the tokens of a message with its tool calls; at least one."""
    text = message.content
    if message.tool_calls:
        text += json.dumps(message.tool_calls, ensure_ascii=False)
    return 1 + len(text.encode()) // BYTES_PER_TOKEN


def _cut(newest_first: Sequence[WindowMessage], tokens: int) -> list[WindowMessage]:
    kept = 0
    for number, message in enumerate(newest_first, start=1):
        tokens -= estimated_tokens(message)
        if tokens < 0:
            break
        if message.role is Role.USER:
            kept = number
    return list(reversed(newest_first[:kept]))
