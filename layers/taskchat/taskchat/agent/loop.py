"""The loop between the model and the tools. It knows no HTTP and no SQL: steps are recorded by whoever runs it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taskchat.agent.model import ChatMessage, Completion, Model
from taskchat.agent.transcript import step
from taskchat.errors import TurnInterruptedError
from taskchat.tools import function_schemas

MAXIMUM_MODEL_CALLS = 8
"""Calls of one turn that may ask for tools; one more, without tools, must come to an end."""
SHORTEST_MODEL_CALL_SECONDS = 3.0
"""With less time than this left, the turn stops between two steps instead of in the middle of one."""


def run(
    model: Model,
    messages: list[ChatMessage],
    *,
    steps_taken: int,
    record_step: Callable[[Completion], Sequence[Mapping[str, Any]]],
    model_seconds: Callable[[], float],
) -> Completion:
    """Let the model work until it answers in words; return that answer.

    `messages` is the conversation so far, with the `steps_taken` of this turn; `record_step` runs the tools that a
    completion asks for and returns what came of them; `model_seconds` tells how long the model's next call may take.

    Raises:
        ModelFailedError: the provider failed, or answered what cannot be used.
        ModelRateLimitedError: the provider asks to slow down.
        TurnInterruptedError: the time is up.
    """
    for _ in range(steps_taken, MAXIMUM_MODEL_CALLS):
        completion = _complete(model, messages, function_schemas(), model_seconds)
        if not completion.requests:
            return completion
        messages.extend(step(completion.content, record_step(completion)))
    return _complete(model, messages, [], model_seconds)


def _complete(
    model: Model, messages: list[ChatMessage], tools: Sequence[dict[str, Any]], model_seconds: Callable[[], float]
) -> Completion:
    timeout_seconds = model_seconds()
    if timeout_seconds < SHORTEST_MODEL_CALL_SECONDS:
        raise TurnInterruptedError(
            "The answer takes longer than one request may; send it again to go on.", retry_after_seconds=1
        )
    return model.complete(messages, tools, timeout_seconds)
