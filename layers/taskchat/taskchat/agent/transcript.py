"""Build the messages of a prompt, in an order and form that every provider accepts.

`transcript` ensures these rules, and the protocols keep them:

1. The first message is a user's.
2. No two user messages and no two assistant messages of words are neighbours: they are joined. Chat templates of vLLM,
   llama.cpp and LM Studio refuse neighbours of one role.
3. A tool's result follows the message that called the tool, and every call has one result.
4. After results comes an assistant message, never a user's: https://github.com/mistralai/mistral-common refuses
   "Unexpected role 'user' after role 'tool'".
5. The last message is the user's, or one with results.
6. No text is empty, and a message that holds nothing is left out.
7. A tool's name has 1 to 64 letters, digits, `_` and `-`. Arguments and results are JSON objects.
8. Ids of calls are unique. Their form depends on the protocol, which asks `WireIds` for them.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from taskchat.agent.prompt import with_time
from taskchat.json_values import compact_json

LONGEST_NAME_CHARACTERS = 64
NO_REPLY = "(no reply was given)"
"""Put between the results of a turn without a reply and the next message of the person."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_JOINT = "\n\n"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SHORT_ID_CHARACTERS = 9


class RecordedStep(Protocol):
    """A recorded step of the running turn."""

    @property
    def content(self) -> str:
        """The words of the message."""
        ...

    @property
    def tool_calls(self) -> Sequence[Mapping[str, Any]] | None:
        """Elements of the audit trail."""
        ...

    @property
    def model_context(self) -> Mapping[str, Any] | None:
        """Data for the provider."""
        ...


class Recorded(RecordedStep, Protocol):
    """A recorded message of the history."""

    @property
    def role(self) -> str:
        """The author: `user`, `assistant` or `system`."""
        ...


@dataclass(frozen=True, slots=True)
class UserMessage:
    """The person's words."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool with its result; `arguments` and `result` are JSON objects as text."""

    id: str
    name: str
    arguments: str
    result: str


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """The assistant's words, and the tools that it called.

    `context` holds data that the provider gets back. `step` counts the steps of the running turn from 0, and is None
    for a message of an earlier turn.
    """

    text: str
    uses: tuple[ToolUse, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None


Message: TypeAlias = UserMessage | AssistantMessage


def transcript(history: Iterable[Recorded], message: str, steps: Sequence[RecordedStep] = ()) -> list[Message]:
    """Return the history, the person's `message` and the running turn's steps as one valid sequence."""
    messages: list[Message] = []
    for recorded in history:
        append(messages, _message(recorded))
    append(messages, UserMessage(message))
    return with_steps(messages, steps)


def with_steps(opening: Sequence[Message], steps: Sequence[RecordedStep]) -> list[Message]:
    """Return a transcript without steps, the `opening`, with the running turn's steps behind it."""
    messages = list(opening)
    for number, step in enumerate(steps):
        append(messages, AssistantMessage(step.content.strip(), _uses(step), step.model_context or {}, number))
    return messages


def append(messages: list[Message], message: Message) -> None:
    """Add a message to a valid sequence, and keep the sequence valid."""
    last = messages[-1] if messages else None
    match message, last:
        case UserMessage(""), _:
            pass
        case AssistantMessage("", ()), _:
            pass
        case AssistantMessage(), None:
            # Without a user message before it, an assistant message answers nothing.
            pass
        case UserMessage(text), UserMessage(before):
            messages[-1] = UserMessage(before + _JOINT + text)
        case UserMessage(), AssistantMessage(uses=uses) if uses:
            messages += [AssistantMessage(NO_REPLY), message]
        case AssistantMessage(text), AssistantMessage(before, ()):
            messages[-1] = replace(message, text=_JOINT.join(part for part in (before, text) if part))
        case _:
            messages.append(message)


class WireIds:
    """The ids of calls in one request, which are unique and of a form that the provider accepts.

    A provider gets the ids of its own calls back unchanged. Every other id becomes nine letters and digits, derived
    from the recorded one, because Mistral accepts no other form and all providers accept this one:
    https://github.com/langchain-ai/langchain/pull/24668.
    """

    def __init__(self, own_form: re.Pattern[str] | None) -> None:
        self._own_form = own_form
        self._given: set[str] = set()

    def next(self, recorded: str, *, is_own: bool) -> str:
        """Return the id to send for a recorded one; the same history gives the same ids."""
        number = 0
        chosen = recorded
        if not (is_own and self._own_form and self._own_form.fullmatch(recorded)) or chosen in self._given:
            chosen = short_id(recorded)
        while chosen in self._given:
            number += 1
            chosen = short_id(f"{recorded} {number}")
        self._given.add(chosen)
        return chosen


def short_id(seed: str) -> str:
    """Return nine letters and digits derived from `seed`, or `seed` itself if it has that form."""
    if len(seed) == SHORT_ID_CHARACTERS and seed.isascii() and seed.isalnum():
        return seed
    number = int.from_bytes(hashlib.sha256(seed.encode(errors="replace")).digest()[:16])
    characters = []
    for _ in range(SHORT_ID_CHARACTERS):
        number, place = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[place])
    return "".join(characters)


def _message(recorded: Recorded) -> Message:
    if recorded.role == "assistant":
        return AssistantMessage(recorded.content.strip(), _uses(recorded), recorded.model_context or {})
    return UserMessage(with_time(recorded.content.strip(), recorded.model_context or {}))


def _uses(recorded: RecordedStep) -> tuple[ToolUse, ...]:
    return tuple(_use(call) for call in recorded.tool_calls or ())


def _use(call: Mapping[str, Any]) -> ToolUse:
    result = {"error": call["error"]} if "error" in call else call["result"]
    # A model may invent a name. Providers would refuse an invalid one in every later request.
    name = _NOT_IN_A_NAME.sub("_", call["tool"])[:LONGEST_NAME_CHARACTERS] or "_"
    return ToolUse(call["id"], name, compact_json(call["arguments"]), compact_json(result))
