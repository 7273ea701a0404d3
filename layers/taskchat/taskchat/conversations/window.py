"""The part of a conversation that a model is given to remember."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat.models import Conversation, Message, Role
from taskchat.statements import given, values

BYTES_PER_TOKEN = 4
"""A rule of thumb for English; bytes, because scripts that need more of them need more tokens as well."""

_conversations = Conversation.metadata.tables["conversations"]
_messages = Message.metadata.tables["messages"]
_NEWEST_FIRST = (
    sa.select(_messages.c.role, _messages.c.content, _messages.c.tool_calls)
    .where(
        _messages.c.conversation_id == given(_messages.c.conversation_id),
        sa.exists().where(
            _conversations.c.id == given(_conversations.c.id, "conversation_id"),
            _conversations.c.user_id == given(_conversations.c.user_id),
        ),
        _messages.c.turn_id.is_distinct_from(given(_messages.c.turn_id)),
    )
    .order_by(_messages.c.created_at.desc(), _messages.c.id.desc())
    .limit(given(sa.column("messages", sa.Integer)))
)


@dataclass(frozen=True, slots=True)
class WindowMessage:
    """A message as the model is given it; `tool_calls` holds elements of the audit trail, or None."""

    role: Role
    content: str
    tool_calls: Sequence[dict[str, Any]] | None


def load_window(
    connection: Connection,
    user_id: uuid.UUID,
    conversation_id: int,
    *,
    messages: int,
    tokens: int,
    before_turn: uuid.UUID,
) -> list[WindowMessage]:
    """Return the end of a person's conversation, oldest message first: at most so many, of about so many tokens.

    It begins at a user's message, so that a tool's result never stands without its call. It is empty where not even
    the newest exchange fits, and where the conversation is somebody else's. The messages of the turn `before_turn`
    are left out.
    """
    known = values(user_id=user_id, conversation_id=conversation_id, turn_id=before_turn, messages=messages)
    return _cut([WindowMessage(*row) for row in connection.execute(_NEWEST_FIRST, known)], tokens)


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
