"""The loop between the model and the tools. It knows no HTTP and no SQL: its caller records the steps."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from taskchat.agent import bounds
from taskchat.agent.answers import is_written_call
from taskchat.agent.prompt import INSTRUCTIONS, with_time
from taskchat.agent.provider import (
    Completion,
    ContentRefusedError,
    FunctionTool,
    Prompt,
    PromptTooLongError,
    Provider,
    Usage,
)
from taskchat.agent.transcript import (
    AssistantMessage,
    Message,
    Recorded,
    RecordedStep,
    UserMessage,
    transcript,
    with_steps,
)
from taskchat.errors import ModelFailedError, TurnInterruptedError
from taskchat.tools import TOOLS

MAXIMUM_MODEL_CALLS: Final = 8
"""Model calls of one turn that may ask for tools. One more call, without tools, gets the answer."""
SHORTEST_MODEL_CALL_SECONDS: Final = 3.0
"""With less time than this left, the turn stops between two steps instead of in the middle of one."""
CORRECTION: Final = (
    "That tool call was written as text, so nothing was called and nothing has changed. "
    "Call the tool through the tool interface, or answer in plain words."
)


@dataclass(frozen=True)
class Question:
    """The input of the loop: the history, the person's message, and the steps that are recorded already.

    `context` is `prompt.time_context` of the turn's beginning, as stored beside the message. `provider_state` is what
    was stored with the last of the `steps`. The two keys are opaque.
    """

    message: str
    context: Mapping[str, Any]
    history: Sequence[Recorded] = ()
    steps: Sequence[RecordedStep] = ()
    provider_state: Mapping[str, Any] | None = None
    conversation_key: str | None = None
    user_key: str | None = None


@dataclass(frozen=True)
class Step:
    """A step of this invocation: the model's text, and the records of its tool calls."""

    content: str
    tool_calls: Sequence[Mapping[str, Any]]
    model_context: Mapping[str, Any] | None


RecordStep = Callable[[Completion], Sequence[Mapping[str, Any]]]
"""Runs the tools that a completion asks for and returns the records of the calls.

`content`, `model_context`, `provider_state` and `usage` of the completion have to be recorded with them.
"""


def run(
    provider: Provider, question: Question, *, record_step: RecordStep, model_seconds: Callable[[], float]
) -> Completion:
    """Call the model, and the tools that it asks for, until it answers in text. Return that answer.

    `model_seconds` returns the time limit of the next model call.

    Raises:
        ModelFailedError: the provider failed, or its answer cannot be used.
        ModelRateLimitedError: the provider asks to slow down.
        TurnInterruptedError: there is no time for another call.
    """
    return _Turn(provider, question, record_step, model_seconds).run()


@functools.cache
def function_tools() -> tuple[FunctionTool, ...]:
    """Return the tools in the form that a prompt takes."""
    return tuple(FunctionTool(tool.name, tool.description, tool.input_schema) for tool in TOOLS.values())


class _Turn:
    def __init__(
        self, provider: Provider, question: Question, record_step: RecordStep, model_seconds: Callable[[], float]
    ) -> None:
        self._provider = provider
        self._record_step = record_step
        self._model_seconds = model_seconds
        self._steps: list[RecordedStep] = list(question.steps)
        self._history: Sequence[Recorded] = question.history
        self._message = with_time(question.message, question.context)
        self._opening = transcript(self._history, self._message)
        self._question = question
        self._state = question.provider_state
        self._wasted = Usage()

    def run(self) -> Completion:
        while len(self._steps) < MAXIMUM_MODEL_CALLS and not self._has_sent_enough():
            completion = self._complete(may_call_tools=True)
            if not completion.requests:
                return completion
            calls = self._record_step(completion)
            self._steps.append(Step(completion.content, calls, completion.model_context))
            self._state = completion.provider_state
        return self._complete(may_call_tools=False)

    def _messages(self, steps: int) -> list[Message]:
        """Return the transcript with the first `steps` of the steps, within the limits."""
        return bounds.bounded(with_steps(self._opening, self._steps[:steps]))

    def _has_sent_enough(self) -> bool:
        """Tell whether the turn's calls have sent so much together that the next one has to be the last."""
        if not self._steps:
            return False
        sent = [bounds.size_bytes(self._messages(steps)) for steps in range(len(self._steps))]
        return sum(sent) > max(bounds.TURN_INPUT_BYTES, 4 * sent[0])

    def _complete(self, *, may_call_tools: bool) -> Completion:
        completion = self._ask(may_call_tools=may_call_tools)
        if not completion.requests and is_written_call(completion.content, list(TOOLS)):
            completion = self._correct(completion, may_call_tools=may_call_tools)
        completion = replace(completion, usage=completion.usage + self._wasted)
        self._wasted = Usage()
        return completion

    def _correct(self, wrong: Completion, *, may_call_tools: bool) -> Completion:
        self._wasted += wrong.usage
        correction: list[Message] = [AssistantMessage(wrong.content), UserMessage(CORRECTION)]
        completion = self._ask(correction, may_call_tools=may_call_tools)
        if not completion.requests and is_written_call(completion.content, list(TOOLS)):
            raise ModelFailedError(
                "The model writes tool calls as text. The operator should check the server's tool-call parser, "
                "or choose another model with OPENAI_MODEL."
            )
        return completion

    def _ask(self, more: Sequence[Message] = (), *, may_call_tools: bool) -> Completion:
        """Call the model. If the prompt's length or content is refused, try again with less history."""
        while True:
            try:
                return self._provider.complete(self._prompt(more, may_call_tools=may_call_tools), self._seconds())
            except (PromptTooLongError, ContentRefusedError) as refused:
                if not self._history:
                    raise ModelFailedError(str(refused), permanent=True) from refused
                is_too_long = isinstance(refused, PromptTooLongError)
                self._history = bounds.newest_half(self._history) if is_too_long else ()
                self._opening = transcript(self._history, self._message)

    def _prompt(self, more: Sequence[Message], *, may_call_tools: bool) -> Prompt:
        return Prompt(
            tools=function_tools(),
            instructions=INSTRUCTIONS,
            messages=[*self._messages(len(self._steps)), *more],
            may_call_tools=may_call_tools,
            provider_state=self._state,
            conversation_key=self._question.conversation_key,
            user_key=self._question.user_key,
        )

    def _seconds(self) -> float:
        seconds = self._model_seconds()
        if seconds < SHORTEST_MODEL_CALL_SECONDS:
            raise TurnInterruptedError(
                "The answer takes longer than one request may take. Send the request again to continue.",
                retry_after_seconds=1,
            )
        return seconds
