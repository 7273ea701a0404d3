"""Reading a provider's answer: it comes from outside, so nothing about it is taken for granted."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from taskchat.agent.model import Completion
from taskchat.text import storable
from taskchat.tools import ToolRequest

MOST_TOOL_CALLS = 32
"""Calls of one reply that are run; a model that asks for more sees only these answered and can ask again."""
LONGEST_CALL_ID_CHARACTERS = 64
_CUT_OFF = "\n\n(The answer was cut off here.)"
_REFUSED = "I cannot help with that."


class FaultyReplyError(Exception):
    """Raised for an answer that cannot be used; says why, without quoting it."""


class _Function(BaseModel):
    name: str
    arguments: str | dict[str, Any] | None = None


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function


class _Part(BaseModel):
    text: str = ""


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = Field(default=0, ge=0, lt=2**31)
    completion_tokens: int = Field(default=0, ge=0, lt=2**31)


class _Body(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    model: str | None = None
    usage: _Usage | None = None


def read_reply(body: bytes, *, tools_offered: bool) -> Completion:
    """Read a chat completion.

    Raises:
        FaultyReplyError: it is not a chat completion, says nothing, or was cut off in the middle of a tool call.
    """
    try:
        parsed = _Body.model_validate(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise FaultyReplyError(_reason(error)) from None
    choice = parsed.choices[0]
    requests = _requests(choice.message.tool_calls or []) if tools_offered else []
    if requests and choice.finish_reason == "length":
        raise FaultyReplyError("its answer was cut off")
    content = storable(_words(choice))
    if not content and not requests:
        raise FaultyReplyError("its answer is empty")
    usage = parsed.usage or _Usage()
    return Completion(content, requests, storable(parsed.model or ""), usage.prompt_tokens, usage.completion_tokens)


def _reason(error: ValueError | RecursionError) -> str:
    if isinstance(error, ValidationError):
        return "its answer is not a chat completion"
    return "its answer is not JSON"


def _words(choice: _Choice) -> str:
    content = choice.message.content or choice.message.refusal or ""
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    text = text.strip()
    if choice.finish_reason == "content_filter":
        return text or _REFUSED
    if choice.finish_reason == "length" and text:
        return text + _CUT_OFF
    return text


def _requests(calls: Sequence[_ToolCall]) -> list[ToolRequest]:
    seen: set[str] = set()
    requests = []
    for call in calls[:MOST_TOOL_CALLS]:
        call_id = call.id or ""
        if not call_id or len(call_id) > LONGEST_CALL_ID_CHARACTERS or call_id in seen:
            call_id = f"call_{uuid.uuid4().hex}"
        seen.add(call_id)
        requests.append(ToolRequest(call_id, call.function.name, _arguments(call.function.arguments)))
    return requests


def _arguments(arguments: str | dict[str, Any] | None) -> str:
    if isinstance(arguments, str):
        return arguments.strip() or "{}"
    return json.dumps(arguments or {})
