"""Reading a provider's answer: it comes from outside, so nothing about it is taken for granted."""

import json
import re
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from taskchat.agent.model import Completion
from taskchat.text import storable
from taskchat.toolkit import ToolRequest

MOST_TOOL_CALLS = 32
"""Calls of one reply that are run; a model that asks for more sees only these answered and can ask again."""
LONGEST_REPLY_CHARACTERS = 16_000
"""What is stored of a reply; a page of a hundred of them has to fit into a Lambda response, 6 MB."""
MOST_TOKENS = 10_000_000
"""More than a call can cost; whoever reports more is not believed."""
_CALL_ID = re.compile("[A-Za-z0-9_-]{1,64}")
"""What every provider takes back; an id of another form would spoil the conversation for good."""
_CUT_OFF = "\n\n(The answer was cut off here.)"
_REFUSED = "I cannot help with that."


class FaultyReplyError(Exception):
    """Raised for an answer that cannot be used; says why, without quoting it."""


def _or(default: object) -> WrapValidator:
    """Take `default` for a value that does not fit: what only describes an answer must not spoil it."""

    def validate(value: object, handler: ValidatorFunctionWrapHandler) -> object:
        try:
            return handler(value)
        except ValidationError:
            return default

    return WrapValidator(validate)


_Name = Annotated[str | None, _or(None)]
_Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS), _or(0)]


class _Function(BaseModel):
    name: Annotated[str, _or("")]
    arguments: Any = None


class _ToolCall(BaseModel):
    id: _Name = None
    function: _Function


class _Part(BaseModel):
    text: Annotated[str, _or("")] = ""


class _Message(BaseModel):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: _Name = None


class _Usage(BaseModel):
    prompt_tokens: _Tokens = 0
    completion_tokens: _Tokens = 0


class _Body(BaseModel):
    choices: list[Any] = Field(min_length=1)
    model: _Name = None
    usage: Annotated[_Usage, _or(_Usage())] = _Usage()


def read_reply(body: bytes, *, tools_offered: bool) -> Completion:
    """Read a chat completion.

    Raises:
        FaultyReplyError: it is not a chat completion, says nothing, or was cut off in the middle of a tool call.
    """
    try:
        parsed = _Body.model_validate(json.loads(body))
        choice = _Choice.model_validate(parsed.choices[0])
    except (ValueError, RecursionError) as error:
        raise FaultyReplyError(_reason(error)) from None
    requests = _requests(choice.message.tool_calls or []) if tools_offered else []
    if requests and choice.finish_reason == "length":
        raise FaultyReplyError("its answer was cut off")
    content = storable(_words(choice))
    if not content and not requests:
        raise FaultyReplyError("its answer is empty")
    usage = parsed.usage
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
    if (choice.finish_reason == "length" and text) or len(text) > LONGEST_REPLY_CHARACTERS:
        return text[:LONGEST_REPLY_CHARACTERS] + _CUT_OFF
    return text


def _requests(calls: Sequence[_ToolCall]) -> list[ToolRequest]:
    seen: set[str] = set()
    requests = []
    for call in calls[:MOST_TOOL_CALLS]:
        call_id = call.id or ""
        if call_id in seen or not _CALL_ID.fullmatch(call_id):
            call_id = f"call_{uuid.uuid4().hex}"
        seen.add(call_id)
        requests.append(ToolRequest(call_id, call.function.name, _arguments(call.function.arguments)))
    return requests


def _arguments(arguments: object) -> str:
    if arguments is None:
        return "{}"
    if isinstance(arguments, str):
        return arguments.strip() or "{}"
    return json.dumps(arguments)
