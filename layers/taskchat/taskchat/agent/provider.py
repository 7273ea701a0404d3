"""The interface between the agent and a language model's provider, and the errors that cross it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from taskchat.agent.transcript import Message
from taskchat.toolkit import ToolRequest


@dataclass(frozen=True, slots=True)
class FunctionTool:
    """The description of a tool in a prompt. `parameters` is a JSON Schema (2020-12)."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Prompt:
    """The input of one model call, in the order in which providers cache it.

    The tools, the instructions and the beginning of `messages` are the same from call to call, because a provider's
    cache holds exact prefixes: https://developers.openai.com/api/docs/guides/prompt-caching.

    `tools` are part of the request even if the model may not call them: some providers refuse a history with tool
    calls in a request without tools.
    """

    tools: Sequence[FunctionTool]
    instructions: str
    messages: Sequence[Message]
    may_call_tools: bool = True
    provider_state: Mapping[str, Any] | None = None
    """State that the provider returned with the last step of the running turn."""
    conversation_key: str | None = None
    """An opaque name of the conversation; a provider may use it to find its cache."""
    user_key: str | None = None
    """An opaque name of the person; a provider may use it against abuse."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, or of several; cached ones are part of the input, reasoning ones of the output."""

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of a model: text, or tools that it wants to call, or both.

    `model_context` is stored with the message, and sent back with it in every later prompt. `provider_state` is stored
    with the running turn. It replaces the state of the step before, and is deleted when the turn ends. Both are JSON
    objects that only the provider reads.
    """

    content: str
    requests: Sequence[ToolRequest] = ()
    model: str = ""
    usage: Usage = field(default=Usage())
    model_context: Mapping[str, Any] | None = None
    provider_state: Mapping[str, Any] | None = None


class Provider(Protocol):
    """A language model that can choose among tools."""

    def complete(self, prompt: Prompt, timeout_seconds: float) -> Completion:
        """Call the model once; a passing fault is retried within `timeout_seconds`.

        Raises:
            PromptTooLongError: the prompt is longer than the model's context.
            ContentRefusedError: a content filter refused the prompt.
            ModelFailedError: the provider failed, or its answer cannot be used.
            ModelRateLimitedError: the provider asks to slow down.
            TurnInterruptedError: no answer came in time.
        """
        ...


class PromptTooLongError(Exception):
    """Raised when the prompt is longer than the model's context; a shorter prompt can succeed."""


class ContentRefusedError(Exception):
    """Raised when a content filter refused the prompt; a prompt without the refused text can succeed."""
