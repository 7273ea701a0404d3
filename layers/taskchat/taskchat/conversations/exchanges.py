"""Messages and exchanges of the window of history, shortened to a number of tokens.

The result depends on the exchange alone, not on its age or its neighbours. So an exchange is the same text in every
later prompt, and the providers' caches of prefixes hit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from taskchat.conversations.tokens import estimate_tokens
from taskchat.json_values import compact_json
from taskchat.models import Role
from taskchat.shortening import shares, shorten

MESSAGE_TOKENS = 4
"""Tokens of a message in addition to its text."""
CALL_TOKENS = 20
"""Tokens of a tool call in addition to name, arguments and result: two ids, and the frames of two messages."""
MOST_CHARACTERS_PER_TOKEN = 8
"""A text with more characters per token of the limit is too long, without an estimate of its tokens."""
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


def _seen(call: Mapping[str, Any]) -> str:
    """Return what the model sees of a call; other parts of the audit trail are not for the model."""
    outcome = call["error"] if "error" in call else call.get("result")
    return f"{call['tool']}{compact_json(call.get('arguments'))}{compact_json(outcome)}"


def _shortened_calls(calls: Sequence[Mapping[str, Any]], limit_tokens: int) -> list[Mapping[str, Any]]:
    """Return the calls, each within its share of the limit."""
    sizes = [CALL_TOKENS + _tokens_up_to(limit_tokens, _seen(call)) for call in calls]
    return [
        call if size <= share else _shortened_call(call, share - CALL_TOKENS)
        for call, size, share in zip(calls, sizes, shares(sizes, limit_tokens), strict=True)
    ]


def _shortened_call(call: Mapping[str, Any], limit_tokens: int) -> Mapping[str, Any]:
    """Shorten a call to about `limit_tokens`, at most half of which are for the arguments."""
    outcome = "error" if "error" in call else "result"
    arguments = shorten(call.get("arguments") or {}, _fits(limit_tokens // 2))
    left = limit_tokens - estimate_tokens(f"{call['tool']}{compact_json(arguments)}")
    short = shorten(call.get(outcome) or {}, _fits(left))
    return {"id": call["id"], "tool": call["tool"], "arguments": arguments, outcome: short}


def _fits(limit_tokens: int) -> Callable[[Mapping[str, Any]], bool]:
    return lambda value: _tokens_up_to(limit_tokens, compact_json(value)) <= limit_tokens


def _tokens_up_to(limit_tokens: int, text: str) -> int:
    """Estimate the tokens of a text. One that is far above the limit counts as just above it, without an estimate."""
    is_far_above = len(text) > MOST_CHARACTERS_PER_TOKEN * limit_tokens
    return limit_tokens + 1 if is_far_above else estimate_tokens(text)


def _cut_middle(text: str, limit_tokens: int) -> str:
    """Return a text without its middle, with about `limit_tokens` tokens."""
    tokens = estimate_tokens(text)
    if tokens <= limit_tokens:
        return text
    kept = int(len(text) * max(0, limit_tokens - _CUT_TOKENS) / tokens)
    return text[: kept - kept // 4].rstrip() + _CUT + text[len(text) - kept // 4 :].lstrip()
