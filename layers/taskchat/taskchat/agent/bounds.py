"""Limit the size of a turn's requests to a model, in bytes of JSON text. A token has about four bytes.

The window bounds the history. These bounds are for the running turn: without them, a model that lists all tasks 32
times in each of eight steps sends 102 MB to its provider for one message of a person.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from taskchat.agent.transcript import AssistantMessage, Message, Recorded, ToolUse, UserMessage
from taskchat.json_values import compact_json
from taskchat.shortening import shares, shorten

STEP_BYTES: Final = 32_000
"""Limit for the arguments and results of the newest step together."""
EARLIER_STEP_BYTES: Final = 6_000
"""Limit for an earlier step of the same turn. Ids and titles are kept longest."""
TURN_INPUT_BYTES: Final = 600_000
"""Limit for all requests of a turn together. Above it, the model is asked for its answer, without tools."""
LEAST_BYTES: Final = 200
"""Share of a call in a step with very many of them."""


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


def _shortened(message: AssistantMessage, limit_bytes: int) -> AssistantMessage:
    sizes = [_use_bytes(use) for use in message.uses]
    if sum(sizes) <= limit_bytes:
        return message
    uses = [
        _shortened_use(use, max(LEAST_BYTES, share))
        for use, share in zip(message.uses, shares(sizes, limit_bytes), strict=True)
    ]
    return replace(message, uses=tuple(uses))


def _shortened_use(use: ToolUse, limit_bytes: int) -> ToolUse:
    """Shorten a call to about `limit_bytes`, at most half of which are for the arguments."""
    if _use_bytes(use) <= limit_bytes:
        return use
    arguments = compact_json(shorten(json.loads(use.arguments), _fits(limit_bytes // 2)))
    left = limit_bytes - len(arguments.encode())
    return replace(use, arguments=arguments, result=compact_json(shorten(json.loads(use.result), _fits(left))))


def _fits(limit_bytes: int) -> Callable[[Mapping[str, Any]], bool]:
    return lambda value: len(compact_json(value).encode(errors="replace")) <= limit_bytes


def _recorded_bytes(message: Recorded) -> int:
    return len(message.content.encode(errors="replace")) + len(compact_json(message.tool_calls or []))


def _use_bytes(use: ToolUse) -> int:
    return len(use.arguments.encode(errors="replace")) + len(use.result.encode(errors="replace"))
