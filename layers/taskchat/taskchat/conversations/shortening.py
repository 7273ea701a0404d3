"""Shorten exchanges for the window of history.

The result depends on the exchange alone, not on its age or its neighbours. So an exchange is the same text in every
later prompt, and the providers' caches of prefixes hit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from taskchat.conversations.tokens import estimate_tokens
from taskchat.json_values import compact_json
from taskchat.models import Role

MESSAGE_TOKENS = 4
"""Tokens of a message in addition to its text."""
CALL_TOKENS = 20
"""Tokens of a tool call in addition to name, arguments and result: two ids, and the frames of two messages."""
MOST_CHARACTERS_PER_TOKEN = 8
"""A text with more characters per token of the limit is too long, without an estimate of its tokens."""
LEFT_OUT = "left_out"
"""Key in a shortened result that tells the model of the omission."""
_IDENTIFYING = ("id", "title", "error", "code", "message")
_LONG_TEXT_CHARACTERS = 200
_TITLE_CHARACTERS = (80, 40, 20)
_LIST_ELEMENTS = (50, 20, 5, 0)
_ELLIPSIS = "…"
_CUT = " […] "
_CUT_TOKENS = 8


@dataclass(frozen=True)
class WindowMessage:
    """A message for the model; `tool_calls` holds elements of the audit trail, or None.

    `model_context` is data for the model, which `taskchat.agent` writes and reads.
    """

    role: Role
    content: str
    tool_calls: Sequence[Mapping[str, Any]] | None
    model_context: Mapping[str, Any] | None = None

    @property
    def tokens(self) -> int:
        """The estimated tokens of the message in a prompt, tool calls with their results included."""
        return self.word_tokens + self.call_tokens

    @cached_property
    def word_tokens(self) -> int:
        """The estimated tokens of the message without its tool calls."""
        context = compact_json(self.model_context) if self.model_context else ""
        return MESSAGE_TOKENS + estimate_tokens(self.content) + estimate_tokens(context)

    @cached_property
    def call_tokens(self) -> int:
        """The estimated tokens of the tool calls and their results."""
        return sum(map(_call_tokens, self.tool_calls or ()))


def shortened(exchange: Sequence[WindowMessage], limit_tokens: int, *, keep_words: bool) -> list[WindowMessage]:
    """Return an exchange in about `limit_tokens`: results of tools are shortened first, then words.

    `keep_words` keeps the person's words whole, so that the exchange may stay above the limit.
    """
    calls = [call for message in exchange for call in message.tool_calls or ()]
    is_short = sum(len(_seen(call)) for call in calls) <= MOST_CHARACTERS_PER_TOKEN * limit_tokens
    if is_short and sum(message.tokens for message in exchange) <= limit_tokens:
        return list(exchange)
    words = sum(message.word_tokens for message in exchange)
    short = iter(_shortened_calls(calls, max(0, limit_tokens - words)))
    exchange = [
        replace(message, tool_calls=[next(short) for _ in message.tool_calls]) if message.tool_calls else message
        for message in exchange
    ]
    if keep_words:
        return exchange
    left = limit_tokens - sum(message.call_tokens for message in exchange)
    share = max(0, left // len(exchange) - MESSAGE_TOKENS)
    return [replace(message, content=_cut_middle(message.content, share)) for message in exchange]


def _call_tokens(call: Mapping[str, Any]) -> int:
    return CALL_TOKENS + estimate_tokens(_seen(call))


def _fits(call: Mapping[str, Any], limit_tokens: int) -> bool:
    text = _seen(call)
    return len(text) <= MOST_CHARACTERS_PER_TOKEN * limit_tokens and CALL_TOKENS + estimate_tokens(text) <= limit_tokens


def _seen(call: Mapping[str, Any]) -> str:
    """Return what the model sees of a call; other parts of the audit trail are not for the model."""
    outcome = call["error"] if "error" in call else call.get("result")
    return f"{call['tool']}{compact_json(call.get('arguments'))}{compact_json(outcome)}"


def _shortened_calls(calls: Sequence[Mapping[str, Any]], limit_tokens: int) -> list[Mapping[str, Any]]:
    """Return the calls, each within its share of the limit. Small calls pass their unused share to large ones."""
    short: dict[int, Mapping[str, Any]] = {}
    by_size = sorted(range(len(calls)), key=lambda number: len(_seen(calls[number])))
    for place, number in enumerate(by_size):
        short[number] = _shortened_call(calls[number], limit_tokens // (len(calls) - place))
        limit_tokens = max(0, limit_tokens - _call_tokens(short[number]))
    return [short[number] for number in range(len(calls))]


def _shortened_call(call: Mapping[str, Any], limit_tokens: int) -> Mapping[str, Any]:
    """Shorten a call to about `limit_tokens`. The result stays an object.

    Long texts are cut first. Then elements of lists keep only id and title. Then titles are cut. Finally lists lose
    their ends.
    """
    if _fits(call, limit_tokens):
        return call
    seen = {key: call[key] for key in ("id", "tool", "arguments", "result", "error") if key in call}
    outcome = "error" if "error" in call else "result"
    short = seen | {key: _with_short_texts(seen.get(key), _LONG_TEXT_CHARACTERS) for key in ("arguments", outcome)}
    if _fits(short, limit_tokens):
        return short
    short[outcome] = _with_names_only(short[outcome])
    for characters in _TITLE_CHARACTERS:
        short |= {key: _with_short_texts(short[key], characters) for key in ("arguments", outcome)}
        if _fits(short, limit_tokens):
            return short
    for elements in _LIST_ELEMENTS:
        shorter = short | {outcome: _with_short_lists(short[outcome], elements)}
        if _fits(shorter, limit_tokens):
            return shorter
    return short | {"arguments": {}, outcome: {LEFT_OUT: "too long to be kept; call the tool again if needed"}}


def _with_short_texts(value: Any, characters: int) -> Any:
    match value:
        case str() if len(value) > characters:
            return value[: characters - 1] + _ELLIPSIS
        case list():
            return [_with_short_texts(item, characters) for item in value]
        case dict():
            return {key: _with_short_texts(item, characters) for key, item in value.items()}
        case _:
            return value


def _with_names_only(value: Any) -> Any:
    match value:
        case dict():
            return {key: _with_names_only(item) for key, item in value.items()}
        case list():
            return [
                {key: item[key] for key in _IDENTIFYING if key in item} or item if isinstance(item, dict) else item
                for item in value
            ]
        case _:
            return value


def _with_short_lists(value: Any, elements: int) -> Any:
    if not isinstance(value, dict):
        return value
    lost = {key: len(item) - elements for key, item in value.items() if isinstance(item, list) and len(item) > elements}
    if not lost:
        return value
    short = {key: item[:elements] if key in lost else item for key, item in value.items()}
    return short | {LEFT_OUT: ", ".join(f"{count} more {key}" for key, count in lost.items())}


def _cut_middle(text: str, limit_tokens: int) -> str:
    """Return a text without its middle, with about `limit_tokens` tokens."""
    tokens = estimate_tokens(text)
    if tokens <= limit_tokens:
        return text
    kept = int(len(text) * max(0, limit_tokens - _CUT_TOKENS) / tokens)
    return text[: kept - kept // 4].rstrip() + _CUT + text[len(text) - kept // 4 :].lstrip()
