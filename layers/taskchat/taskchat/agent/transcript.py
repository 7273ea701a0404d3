"""What was said and done, in the form of the Chat Completions protocol."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from taskchat.agent.model import ChatMessage

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
LONGEST_NAME_CHARACTERS = 64


class Recorded(Protocol):
    """A recorded message; `tool_calls` holds elements of the audit trail, or None."""

    @property
    def role(self) -> str: ...
    @property
    def content(self) -> str: ...
    @property
    def tool_calls(self) -> Sequence[Mapping[str, Any]] | None: ...


def transcript(recorded: Iterable[Recorded]) -> Iterator[ChatMessage]:
    """Yield the messages; each tool's result follows right after the message that called for it."""
    for message in recorded:
        if message.tool_calls:
            yield from step(message.content, message.tool_calls)
        else:
            yield {"role": str(message.role), "content": message.content}


def step(content: str, tool_calls: Sequence[Mapping[str, Any]]) -> Iterator[ChatMessage]:
    """Yield one message of the assistant that used tools, then their results."""
    yield {"role": "assistant", "content": content or None, "tool_calls": [_call(call) for call in tool_calls]}
    for call in tool_calls:
        outcome = {"error": call["error"]} if "error" in call else call["result"]
        yield {"role": "tool", "tool_call_id": call["id"], "content": _json(outcome)}


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    # Providers refuse a conversation with a name of another form in it, for ever; a model may have made one up.
    name = _NOT_IN_A_NAME.sub("_", call["tool"])[:LONGEST_NAME_CHARACTERS] or "_"
    function = {"name": name, "arguments": _json(call["arguments"])}
    return {"id": call["id"], "type": "function", "function": function}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
