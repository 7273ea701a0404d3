"""What the agent asks of a model, and what it gets back; `chat_completions` is the one that speaks to a provider."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from taskchat.toolkit import ToolRequest

ChatMessage = dict[str, Any]
"""One message in the form of the Chat Completions protocol."""


@dataclass(frozen=True)
class Completion:
    """One answer of the model: words, or tools that it wants to use, or both. Tokens are those of this one call."""

    content: str
    requests: Sequence[ToolRequest]
    model: str
    input_tokens: int
    output_tokens: int


class Model(Protocol):
    """A model that can choose among tools."""

    def complete(
        self, messages: Sequence[ChatMessage], tools: Sequence[dict[str, Any]], timeout_seconds: float
    ) -> Completion:
        """Ask once; with no tools, the answer is words.

        Raises:
            ModelFailedError: the provider failed, or answered what cannot be used.
            ModelRateLimitedError: the provider asks to slow down.
            TurnInterruptedError: no answer came in time.
        """
        ...
