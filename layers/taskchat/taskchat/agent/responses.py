"""The Responses protocol, stateless: nothing is stored at the provider, and reasoning is sent back encrypted.

The protocol is OpenAI's: https://developers.openai.com/api/reference/resources/responses. Reasoning is carried from
step to step as in https://developers.openai.com/api/docs/guides/reasoning#encrypted-reasoning-items.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from taskchat.agent import answers
from taskchat.agent.adaptation import Adaptation
from taskchat.agent.answers import FaultyAnswerError, mapping, sequence, word
from taskchat.agent.provider import Completion, FunctionTool, Prompt, Usage
from taskchat.agent.provider_settings import Api, ProviderSettings
from taskchat.agent.refusals import Refusal, refusal_of
from taskchat.agent.transcript import AssistantMessage, Message, UserMessage, WireIds
from taskchat.json_values import compact_json
from taskchat.text import storable, storable_json

PATH: Final = "/responses"
LARGEST_STATE_BYTES: Final = 1_000_000
"""Encrypted reasoning kept of one turn; a turn that thinks more goes on without it."""
_REASONING: Final = "reasoning"
_MESSAGE: Final = "message"
_CALL: Final = "function_call"
_OWN_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_STATUSES: Final = {"rate_limit_exceeded": HTTPStatus.TOO_MANY_REQUESTS, "server_error": HTTPStatus.BAD_GATEWAY}


def request(prompt: Prompt, settings: ProviderSettings, adaptation: Adaptation) -> dict[str, Any]:
    """Return the body of a request."""
    body: dict[str, Any] = {
        "model": settings.model,
        "instructions": prompt.instructions,
        "input": list(_items(prompt, settings, adaptation)),
        "tools": [_tool(tool, adaptation) for tool in prompt.tools],
    }
    effort = adaptation.effort or settings.effort(Api.RESPONSES)
    optional: dict[str, Any] = {
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tool_choice": None if prompt.may_call_tools else "none",
        "reasoning": {"effort": effort} if effort else None,
        "max_output_tokens": settings.max_output_tokens,
    }
    if settings.is_openai:
        optional |= {"prompt_cache_key": prompt.conversation_key, "safety_identifier": prompt.user_key}
    return body | {
        name: value for name, value in optional.items() if value is not None and name not in adaptation.left_out
    }


def read(body: bytes, prompt: Prompt, settings: ProviderSettings) -> Completion | Refusal:
    """Read an answer, or the error that a failed response holds.

    Raises:
        FaultyAnswerError: the answer is not a response, is empty, or is incomplete.
    """
    document = answers.parse(body)
    if document.get("error"):
        code = word(mapping(document["error"]).get("code"))
        other = HTTPStatus.BAD_REQUEST if document.get("status") == "failed" else HTTPStatus.BAD_GATEWAY
        return refusal_of(document, _STATUSES.get(code, other))
    if not isinstance(document.get("output"), list):
        raise FaultyAnswerError("its answer is not a response")
    if document.get("status") in ("failed", "cancelled", "queued", "in_progress"):
        raise FaultyAnswerError("its answer was broken off by an error")
    items = [mapping(item) for item in document["output"]]
    reason = word(mapping(document.get("incomplete_details")).get("reason"))
    is_cut_off = document.get("status") == "incomplete" and reason != "content_filter"
    requests = answers.requests(
        (
            (item.get("call_id") or item.get("id"), item.get("name"), item.get("arguments"))
            for item in items
            if item.get("type") == "function_call" and prompt.may_call_tools
        ),
        [tool.name for tool in prompt.tools],
    )
    if requests and is_cut_off:
        raise FaultyAnswerError("its answer was cut off in a tool call; a larger OPENAI_MAX_OUTPUT_TOKENS may help")
    content = answers.reply(_content(items, reason), is_cut_off=is_cut_off)
    if not content and not requests:
        hint = "; a larger OPENAI_MAX_OUTPUT_TOKENS may help" if is_cut_off else ""
        raise FaultyAnswerError(f"its answer is empty{hint}")
    return Completion(
        content,
        requests,
        storable(word(document.get("model"))) or settings.model,
        _usage(mapping(document.get("usage"))),
        {"origin": settings.origin},
        _state(prompt, settings, items),
    )


def is_state_refused(refusal: Refusal) -> bool:
    """Tell whether the provider cannot read the encrypted reasoning, as after a change of the key's organisation."""
    return "invalid_encrypted_content" in refusal.text or (
        "encrypted content" in refusal.text and "verified" in refusal.text
    )


def _items(prompt: Prompt, settings: ProviderSettings, adaptation: Adaptation) -> Iterator[dict[str, Any]]:
    reasoning = _reasoning(prompt, settings) if adaptation.sends_context else ()
    ids = WireIds(None if adaptation.short_ids else _OWN_ID)
    for message in prompt.messages:
        yield from _rendered(message, ids, reasoning, settings)


def _rendered(
    message: Message, ids: WireIds, reasoning: Sequence[Any], settings: ProviderSettings
) -> Iterator[dict[str, Any]]:
    if isinstance(message, UserMessage):
        yield {"role": "user", "content": message.text}
        return
    is_own = message.context.get("origin") == settings.origin
    words = [{"role": "assistant", "content": message.text}] if message.text else []
    calls, results = [], []
    for use in message.uses:
        call_id = ids.next(use.id, is_own=is_own)
        calls.append({"type": "function_call", "call_id": call_id, "name": use.name, "arguments": use.arguments})
        results.append({"type": "function_call_output", "call_id": call_id, "output": use.result})
    is_running = message.step is not None and message.step < len(reasoning)
    yield from _in_order(sequence(reasoning[message.step or 0]) if is_running else (), words, calls)
    yield from results


def _in_order(
    output: Sequence[Any], words: list[dict[str, Any]], calls: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the items of a step in the order in which the model wrote them, reasoning before what it led to.

    A reasoning item without the item that followed it is refused, so it is left out.
    """
    left = {_MESSAGE: list(words), _CALL: list(calls)}
    waiting: list[dict[str, Any]] = []
    for item in output:
        if item["type"] == _REASONING:
            waiting.append(item)
        elif left[item["type"]]:
            yield from (*waiting, left[item["type"]].pop(0))
            waiting = []
    yield from left[_MESSAGE]
    yield from left[_CALL]


def _tool(tool: FunctionTool, adaptation: Adaptation) -> dict[str, Any]:
    described = {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": adaptation.schema(tool.parameters),
        # Strict is the default here, and wants every property required.
        "strict": False,
    }
    return {name: value for name, value in described.items() if name not in adaptation.left_out}


def _reasoning(prompt: Prompt, settings: ProviderSettings) -> Sequence[Any]:
    """Return the output of each step of the running turn, if this provider wrote it: see `_kept`."""
    state = prompt.provider_state or {}
    return sequence(state.get("steps")) if state.get("origin") == settings.origin else ()


def _state(prompt: Prompt, settings: ProviderSettings, items: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the state of the turn with the reasoning of this answer added as that of the newest step."""
    numbers = [
        message.step
        for message in prompt.messages
        if isinstance(message, AssistantMessage) and message.step is not None
    ]
    taken = max(numbers, default=-1) + 1
    earlier = [list(sequence(step)) for step in _reasoning(prompt, settings)[:taken]]
    steps = [*earlier, *([] for _ in range(taken - len(earlier))), _kept(items)]
    if not any(steps):
        return None
    state: dict[str, Any] = storable_json({"origin": settings.origin, "steps": steps})
    return state if len(compact_json(state)) <= LARGEST_STATE_BYTES else None


def _kept(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return an output's reasoning items, and the place of each message and call among them."""
    kept: list[dict[str, Any]] = []
    for item in items:
        if item.get("type") in (_MESSAGE, _CALL):
            kept.append({"type": item["type"]})
        elif item.get("type") == _REASONING and word(item.get("encrypted_content")):
            named = {"id": item["id"]} if word(item.get("id")) else {}
            summary = list(sequence(item.get("summary")))
            kept.append(
                {"type": _REASONING, **named, "summary": summary, "encrypted_content": item["encrypted_content"]}
            )
    return kept if any(item["type"] == _REASONING for item in kept) else []


def _content(items: Sequence[Mapping[str, Any]], reason: str) -> str:
    parts = [part for item in items if item.get("type") == "message" for part in _parts(item.get("content"))]
    text = answers.text_of(parts) or answers.text_of([mapping(part).get("refusal") or "" for part in parts])
    return text or (answers.REFUSED if reason == "content_filter" else "")


def _parts(content: object) -> Sequence[Any]:
    return [content] if isinstance(content, str) else sequence(content)


def _usage(usage: Mapping[str, Any]) -> Usage:
    input_details, output_details = (
        mapping(usage.get(name)) for name in ("input_tokens_details", "output_tokens_details")
    )
    return Usage(
        answers.tokens(usage.get("input_tokens")),
        answers.tokens(input_details.get("cached_tokens")),
        answers.tokens(usage.get("output_tokens")),
        answers.tokens(output_details.get("reasoning_tokens")),
    )
