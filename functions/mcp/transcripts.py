"""Conversations in Markdown, for people and models to read."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from taskchat.conversations import ConversationRecord, MessageRecord, Page
from taskchat.models import Role

_SPEAKERS = {Role.USER: "Person", Role.ASSISTANT: "Taskchat", Role.SYSTEM: "System"}


def transcript(conversation: ConversationRecord, page: Page[MessageRecord]) -> str:
    """Return a conversation in Markdown, oldest message first, times in UTC."""
    return "\n\n".join(_parts(conversation, page)) + "\n"


def _parts(conversation: ConversationRecord, page: Page[MessageRecord]) -> Iterator[str]:
    yield f"# {conversation.title or 'Conversation'}"
    if page.next_cursor is not None:
        yield "(Earlier messages are left out.)"
    for message in page.items:
        yield f"**{_SPEAKERS[message.role]}**, {message.created_at:%Y-%m-%d %H:%M} UTC"
        if message.content:
            yield message.content
        if message.tool_calls:
            yield "\n".join(_call(call) for call in message.tool_calls)


def _call(call: Mapping[str, Any]) -> str:
    outcome = f"failed: {call['error']['message']}" if "error" in call else _json(call["result"])
    return f"- `{call['tool']}` {_json(call['arguments'])} → {outcome}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
