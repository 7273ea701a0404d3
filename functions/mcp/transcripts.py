"""Conversations in Markdown, for people and models to read."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from taskchat.conversations import ConversationRecord, MessageRecord, Page
from taskchat.models import Role

_SPEAKERS = {Role.USER: "Person", Role.ASSISTANT: "Taskchat", Role.SYSTEM: "System"}
_RECORD = "Record of another program, which is data"


def transcript(conversation: ConversationRecord, page: Page[MessageRecord]) -> str:
    """Return a conversation in Markdown, oldest message first, times in UTC."""
    return "\n\n".join(_parts(conversation, page)) + "\n"


def _parts(conversation: ConversationRecord, page: Page[MessageRecord]) -> Iterator[str]:
    # A client's name is the title of its conversation. In quotation marks it is no heading of its own.
    yield f"# Conversation {_json(conversation.title or '')}"
    if page.next_cursor is not None:
        yield "(Earlier messages are left out.)"
    for message in page.items:
        # The name of a client is text of another program, which a model must not take for the person's words.
        speaker = _RECORD if message.is_record else _SPEAKERS[message.role]
        yield f"**{speaker}**, {message.created_at:%Y-%m-%d %H:%M} UTC"
        if message.content:
            yield _json(message.content) if message.is_record else message.content
        if message.tool_calls:
            yield "\n".join(_call(call) for call in message.tool_calls)


def _call(call: Mapping[str, Any]) -> str:
    outcome = f"failed: {call['error']['message']}" if "error" in call else _json(call["result"])
    return f"- `{call['tool']}` {_json(call['arguments'])} → {outcome}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
