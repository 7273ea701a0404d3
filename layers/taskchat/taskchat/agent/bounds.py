"""Limit the size of a turn's requests to a model, in bytes of JSON text. A token has about four bytes.

The window bounds the history. These bounds are for the running turn: without them, a model that lists all tasks 32
times in each of eight steps sends 102 MB to its provider for one message of a person.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from taskchat.agent.transcript import AssistantMessage, Message, Recorded, ToolUse, UserMessage
from taskchat.json_values import compact_json

STEP_BYTES: Final = 32_000
"""Limit for the arguments and results of the newest step together."""
EARLIER_STEP_BYTES: Final = 6_000
"""Limit for an earlier step of the same turn. Ids and titles are kept longest."""
TURN_INPUT_BYTES: Final = 600_000
"""Limit for all requests of a turn together. Above it, the model is asked for its answer, without tools."""
_SHORTEST_TEXT: Final = 60
_LEAST_BYTES: Final = 200
_NOTE_BYTES: Final = 60
_LEFT_OUT: Final = "left_out"
_IDENTIFYING = ("id", "title", "error", "code", "message")


def bounded(messages: Sequence[Message]) -> list[Message]:
    """Return a transcript whose running turn keeps to the limits. Earlier turns are not changed.

    A step is shortened again when the next one follows, and never after that. The prefix in a provider's cache
    therefore changes rarely.
    """
    steps = [message.step for message in messages if isinstance(message, AssistantMessage) and message.step is not None]
    newest = max(steps, default=0)
    return [
        message
        if isinstance(message, UserMessage) or message.step is None
        else _shortened(message, STEP_BYTES if message.step == newest else EARLIER_STEP_BYTES)
        for message in messages
    ]


def size_bytes(messages: Sequence[Message]) -> int:
    """Estimate the bytes of a transcript in a request."""
    total = 0
    for message in messages:
        total += len(message.text.encode(errors="replace"))
        if isinstance(message, AssistantMessage):
            total += sum(_use_bytes(use) for use in message.uses)
            total += len(compact_json(message.context)) if message.context else 0
    return total


def newest_half(history: Sequence[Recorded]) -> Sequence[Recorded]:
    """Return the newer half of a history, by bytes; nothing if it is a single message."""
    left = sum(_recorded_bytes(message) for message in history) // 2
    kept = 0
    for message in reversed(history):
        left -= _recorded_bytes(message)
        if left < 0:
            break
        kept += 1
    return history[len(history) - kept :]


def shorten_result(result: Mapping[str, Any], limit_bytes: int) -> Mapping[str, Any]:
    """Shorten a tool's result to about `limit_bytes` of JSON. It stays an object and says what was left out.

    Long texts are cut first. Then elements of lists keep only id, title and error. Then lists lose their ends, and the
    result tells the number of lost elements.
    """
    if _json_bytes(result) <= limit_bytes:
        return result
    for text_characters in (400, _SHORTEST_TEXT):
        shorter: dict[str, Any] = _cut_texts(dict(result), text_characters)
        if _json_bytes(shorter) <= limit_bytes:
            return shorter
    named = {key: _names_only(value) for key, value in shorter.items()}
    if _json_bytes(named) <= limit_bytes:
        return named
    return _cut_lists(named, limit_bytes)


def _shortened(message: AssistantMessage, limit_bytes: int) -> AssistantMessage:
    total = sum(_use_bytes(use) for use in message.uses)
    if total <= limit_bytes:
        return message
    # Small results stay whole, and large ones share what is left.
    left, uses = limit_bytes, {}
    by_size = sorted(enumerate(message.uses), key=lambda numbered: _use_bytes(numbered[1]))
    for position, (number, use) in enumerate(by_size):
        share = max(_LEAST_BYTES, left // (len(by_size) - position))
        uses[number] = _shortened_use(use, share)
        left -= _use_bytes(uses[number])
    return replace(message, uses=tuple(uses[number] for number in range(len(message.uses))))


def _shortened_use(use: ToolUse, limit_bytes: int) -> ToolUse:
    if _use_bytes(use) <= limit_bytes:
        return use
    arguments, result = json.loads(use.arguments), json.loads(use.result)
    if len(use.arguments.encode()) > limit_bytes // 2:
        arguments = shorten_result(arguments, limit_bytes // 2)
    text = compact_json(arguments)
    return replace(use, arguments=text, result=compact_json(shorten_result(result, limit_bytes - len(text.encode()))))


def _recorded_bytes(message: Recorded) -> int:
    return len(message.content.encode(errors="replace")) + len(compact_json(message.tool_calls or []))


def _use_bytes(use: ToolUse) -> int:
    return len(use.arguments.encode(errors="replace")) + len(use.result.encode(errors="replace"))


def _json_bytes(value: object) -> int:
    return len(compact_json(value).encode(errors="replace"))


def _cut_texts(value: Any, characters: int) -> Any:
    match value:
        case str() if len(value) > characters:
            return value[: characters - 1] + "…"
        case list():
            return [_cut_texts(item, characters) for item in value]
        case dict():
            return {_cut_texts(key, characters): _cut_texts(item, characters) for key, item in value.items()}
        case _:
            return value


def _names_only(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [
        {key: item[key] for key in _IDENTIFYING if key in item} or {} if isinstance(item, dict) else item
        for item in value
    ]


def _cut_lists(result: Mapping[str, Any], limit_bytes: int) -> Mapping[str, Any]:
    lists = {key: value for key, value in result.items() if isinstance(value, list) and value}
    room = limit_bytes - _json_bytes({**result, **{key: [] for key in lists}}) - _NOTE_BYTES
    left_out = 0
    kept = dict(result)
    for key, items in lists.items():
        count = _fitting(items, room // len(lists))
        kept[key] = items[:count]
        left_out += len(items) - count
    kept[_LEFT_OUT] = f"{left_out} more; ask for fewer at a time."
    return kept if _json_bytes(kept) <= limit_bytes else {_LEFT_OUT: "This was too long to be shown."}


def _fitting(items: Sequence[Any], room_bytes: int) -> int:
    """Return how many of the items fit."""
    for count, item in enumerate(items):
        room_bytes -= _json_bytes(item) + 1
        if room_bytes < 0:
            return count
    return len(items)
