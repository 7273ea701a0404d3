"""The Chat Completions protocol, which most providers speak, each a little differently.

The protocol is OpenAI's: https://developers.openai.com/api/reference/resources/chat. docs/providers.md lists the
differences of each provider.
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
from taskchat.agent.transcript import Message, ToolUse, UserMessage, WireIds
from taskchat.text import storable

PATH: Final = "/chat/completions"
DUMMY_SIGNATURE: Final = "skip_thought_signature_validator"
"""Signature of calls that Gemini did not make: https://ai.google.dev/gemini-api/docs/thought-signatures."""
NO_REASONING: Final = " "
"""Reasoning of messages from other providers. Some servers treat an empty text as missing."""
_OWN_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_CONTEXT_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_details", "extra_content", "thinking_blocks")
"""Fields beside a message that have to be sent back: of DeepSeek and Kimi, Groq, OpenRouter, Gemini, LiteLLM."""
_CALL_FIELDS: Final = frozenset({"id", "type", "function", "index"})
_BROKEN_OFF: Final = re.compile(r"error|malformed|insufficient_system_resource|unexpected_tool", re.IGNORECASE)
"""Values of `finish_reason` for an incomplete answer: OpenRouter, Gemini, DeepSeek."""


def request(prompt: Prompt, settings: ProviderSettings, adaptation: Adaptation) -> dict[str, Any]:
    """Return the body of a request."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": _messages(prompt, settings, adaptation),
        "tools": [_tool(tool, adaptation) for tool in prompt.tools],
    }
    optional: dict[str, Any] = {
        "tool_choice": None if prompt.may_call_tools else "none",
        "reasoning_effort": adaptation.effort or settings.effort(Api.CHAT_COMPLETIONS),
    }
    if settings.is_openai:
        optional |= {
            # Projects can be set to store chat completions: https://developers.openai.com/api/docs/guides/your-data.
            "store": False,
            "prompt_cache_key": prompt.conversation_key,
            "safety_identifier": prompt.user_key,
        }
    body |= {name: value for name, value in optional.items() if value is not None and name not in adaptation.left_out}
    return body | _output_limit(settings, adaptation)


def read(body: bytes, prompt: Prompt, settings: ProviderSettings) -> Completion | Refusal:
    """Read an answer, or the error that some providers send with status 200.

    Raises:
        FaultyAnswerError: the answer is not a chat completion, is empty, or is incomplete.
    """
    document = answers.parse(body)
    choices = sequence(document.get("choices"))
    if not choices and document.get("error"):
        return _error_of(document)
    choice = _chosen(choices)
    if choice.get("error"):
        return _error_of(choice)
    message = mapping(choice.get("message"))
    finish = word(choice.get("finish_reason"))
    if _BROKEN_OFF.search(finish):
        raise FaultyAnswerError("its answer was broken off by an error")
    known = [tool.name for tool in prompt.tools]
    raw_calls = _calls(message) if prompt.may_call_tools else []
    requests = answers.requests(
        ((call.get("id"), _function(call).get("name"), _function(call).get("arguments")) for call in raw_calls), known
    )
    if requests and finish == "length":
        raise FaultyAnswerError("its answer was cut off in a tool call; a larger OPENAI_MAX_OUTPUT_TOKENS may help")
    content = answers.reply(_content(message, finish), is_cut_off=finish == "length")
    if not content and not requests:
        hint = "; a larger OPENAI_MAX_OUTPUT_TOKENS may help" if finish == "length" else ""
        raise FaultyAnswerError(f"its answer is empty{hint}")
    return Completion(
        content,
        requests,
        storable(word(document.get("model"))) or settings.model,
        _usage(mapping(document.get("usage"))),
        _context(message, raw_calls, [made.id for made in requests], settings),
    )


def _messages(prompt: Prompt, settings: ProviderSettings, adaptation: Adaptation) -> list[dict[str, Any]]:
    rendered: list[dict[str, Any]] = [{"role": "system", "content": prompt.instructions}]
    ids = WireIds(None if adaptation.short_ids else _OWN_ID)
    for message in prompt.messages:
        rendered.extend(_rendered(message, ids, settings, adaptation))
    if adaptation.instructions_as_user and len(rendered) > 1:
        system, first, *rest = rendered
        rendered = [{**first, "content": f"{system['content']}\n\n{first['content']}"}, *rest]
    return rendered


def _rendered(
    message: Message, ids: WireIds, settings: ProviderSettings, adaptation: Adaptation
) -> Iterator[dict[str, Any]]:
    if isinstance(message, UserMessage):
        yield {"role": "user", "content": message.text}
        return
    is_own = message.context.get("origin") == settings.origin
    fields = _message_fields(message.context if is_own else {}, adaptation)
    if not message.uses:
        yield {"role": "assistant", "content": message.text, **fields}
        return
    call_contexts = sequence(message.context.get("calls")) if is_own else ()
    calls, results = [], []
    for number, use in enumerate(message.uses):
        call_id = ids.next(use.id, is_own=is_own)
        kept = mapping(call_contexts[number]) if number < len(call_contexts) else {}
        calls.append(_call(use, call_id, _call_fields(kept, adaptation, is_first=number == 0)))
        results.append({"role": "tool", "tool_call_id": call_id, "content": use.result})
    # Some templates want a text or null beside calls, never an empty string.
    assistant = {"role": "assistant", "content": message.text or None, **fields}
    if not adaptation.one_call_a_message:
        yield {**assistant, "tool_calls": calls}
        yield from results
        return
    for number, (call, result) in enumerate(zip(calls, results, strict=True)):
        yield {**assistant, "content": assistant["content"] if number == 0 else None, "tool_calls": [call]}
        yield result


def _message_fields(context: Mapping[str, Any], adaptation: Adaptation) -> dict[str, Any]:
    fields = {name: context[name] for name in _CONTEXT_FIELDS if name in context} if adaptation.sends_context else {}
    if adaptation.needs_reasoning and not fields.get("reasoning_content"):
        fields["reasoning_content"] = NO_REASONING
    return fields


def _call_fields(kept: Mapping[str, Any], adaptation: Adaptation, *, is_first: bool) -> dict[str, Any]:
    fields = dict(kept) if adaptation.sends_context else {}
    if adaptation.needs_signatures and is_first:
        google = mapping(mapping(fields.get("extra_content")).get("google"))
        if not (adaptation.trusts_signatures and google.get("thought_signature")):
            fields["extra_content"] = {"google": {"thought_signature": DUMMY_SIGNATURE}}
    elif not adaptation.trusts_signatures:
        fields.pop("extra_content", None)
    return fields


def _call(use: ToolUse, call_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {**fields, "id": call_id, "type": "function", "function": {"name": use.name, "arguments": use.arguments}}


def _tool(tool: FunctionTool, adaptation: Adaptation) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": adaptation.schema(tool.parameters),
    }
    return {"type": "function", "function": function}


def _output_limit(settings: ProviderSettings, adaptation: Adaptation) -> dict[str, int]:
    """Name the output limit. OpenAI deprecated `max_tokens`, and most others know no other name."""
    names = ("max_completion_tokens", "max_tokens") if settings.is_openai else ("max_tokens", "max_completion_tokens")
    for name in names:
        if name not in adaptation.left_out:
            return {name: settings.max_output_tokens}
    return {}


def _error_of(document: Mapping[str, Any]) -> Refusal:
    """Read an error that came with status 200; OpenRouter puts the status into `code`."""
    code = mapping(document.get("error")).get("code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else HTTPStatus.BAD_GATEWAY
    return refusal_of(document, status)


def _chosen(choices: Sequence[Any]) -> Mapping[str, Any]:
    """Return the choice to follow: the first with a tool call, or the first.

    Raises:
        FaultyAnswerError: none has a message.
    """
    with_message = [mapping(choice) for choice in choices if mapping(mapping(choice).get("message"))]
    with_error = [mapping(choice) for choice in choices if mapping(choice).get("error")]
    if not with_message and not with_error:
        raise FaultyAnswerError("its answer is not a chat completion")
    return next((choice for choice in with_message if _calls(choice["message"])), (*with_message, *with_error)[0])


def _calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    calls = [mapping(call) for call in sequence(message.get("tool_calls"))]
    made = [call for call in calls if _function(call)]
    # The format before 2024, which some gateways still use.
    if not made and mapping(message.get("function_call")).get("name"):
        return [{"function": message["function_call"]}]
    return made[: answers.MOST_TOOL_CALLS]


def _function(call: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(call.get("function"))


def _content(message: Mapping[str, Any], finish: str) -> str:
    text = answers.text_of(message.get("content")) or answers.text_of(message.get("refusal"))
    return text or (answers.REFUSED if finish == "content_filter" else "")


def _usage(usage: Mapping[str, Any]) -> Usage:
    """Read the tokens; DeepSeek and Anthropic name the cached ones differently."""
    prompt_details, completion_details = (
        mapping(usage.get(name)) for name in ("prompt_tokens_details", "completion_tokens_details")
    )
    return Usage(
        answers.tokens(usage.get("prompt_tokens")),
        answers.tokens(
            prompt_details.get("cached_tokens"), usage.get("prompt_cache_hit_tokens"), usage.get("cached_tokens")
        ),
        answers.tokens(usage.get("completion_tokens")),
        answers.tokens(completion_details.get("reasoning_tokens")),
    )


def _context(
    message: Mapping[str, Any], calls: Sequence[Mapping[str, Any]], ids: Sequence[str], settings: ProviderSettings
) -> Mapping[str, Any] | None:
    """Return the context to store with the message: its origin, and the extra fields of it and of its calls."""
    origin = {"origin": settings.origin}
    context: dict[str, Any] = {name: message[name] for name in _CONTEXT_FIELDS if message.get(name)}
    fields = [{name: value for name, value in call.items() if name not in _CALL_FIELDS} for call in calls[: len(ids)]]
    if any(fields):
        context["calls"] = fields
    return answers.storable_context(context | origin) or origin
