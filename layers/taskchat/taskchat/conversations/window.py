"""The part of a conversation that a model is given to remember."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from taskchat.models import Message, Role

BYTES_PER_TOKEN = 4
"""A rule of thumb for English; bytes, because scripts that need more of them need more tokens as well."""

_messages = Message.metadata.tables["messages"]


@dataclass(frozen=True, slots=True)
class WindowMessage:
    """A message as the model is given it; `tool_calls` holds elements of the audit trail, or None."""

    role: Role
    content: str
    tool_calls: Sequence[dict[str, Any]] | None


def load_window(
    session: Session,
    conversation_id: int,
    *,
    messages: int,
    tokens: int,
    before_turn: uuid.UUID | None = None,
) -> list[WindowMessage]:
    """Return the end of a conversation, oldest message first: at most so many messages, of about so many tokens.

    It begins at a user's message, so that a tool's result never stands without its call, and is empty where not
    even the newest exchange fits. The messages of the turn `before_turn` are left out. Whose conversation it is
    has been checked before.
    """
    statement = sa.select(_messages.c.role, _messages.c.content, _messages.c.tool_calls).where(
        _messages.c.conversation_id == conversation_id
    )
    if before_turn is not None:
        statement = statement.where(_messages.c.turn_id.is_distinct_from(before_turn))
    newest_first = statement.order_by(_messages.c.created_at.desc(), _messages.c.id.desc()).limit(messages)
    return _cut([WindowMessage(*row) for row in session.execute(newest_first)], tokens)


def estimated_tokens(message: WindowMessage) -> int:
    """Estimate what a message costs, its tool calls included; never less than one token."""
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
