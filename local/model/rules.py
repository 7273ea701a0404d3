"""Refuse the requests that OpenAI refuses, with the same texts in the same form.

https://developers.openai.com/api/reference/resources/chat, https://developers.openai.com/api/reference/resources/responses
and, for tools on Chat Completions, https://github.com/openai/openai-openapi/issues/541.
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from local.model.plans import MODEL_NAME

ENCRYPTED_PREFIX = "offline-"
"""Prefix of the text that stands for encrypted reasoning."""
_CHAT_FIELDS = frozenset(
    [
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)
_RESPONSES_FIELDS = frozenset(
    [
        "background",
        "context_management",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
_EFFORTS = ("none", "low", "medium", "high", "xhigh", "max")
_ROLES = ("system", "developer", "user", "assistant", "tool")
_ITEM_TYPES = ("message", "reasoning", "function_call", "function_call_output")
_NAME = re.compile("[A-Za-z0-9_-]{1,64}")


class RefusedError(Exception):
    """Raised for a request that is not answered; the fields are those of OpenAI's error object."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


def check_chat(request: Mapping[str, Any]) -> None:
    """Check a Chat Completions request.

    Raises:
        RefusedError: OpenAI would refuse it.
    """
    if "max_tokens" in request:
        raise RefusedError(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            "max_tokens",
            "unsupported_parameter",
        )
    _check_fields(request, _CHAT_FIELDS)
    _check_effort(request.get("reasoning_effort"), "reasoning_effort")
    tools = _list(request.get("tools"), "tools")
    if tools and request.get("reasoning_effort") != "none":
        raise RefusedError(
            f"Function tools with reasoning_effort are not supported for {MODEL_NAME} in /v1/chat/completions. "
            "To use function tools, use /v1/responses or set reasoning_effort to 'none'.",
            "reasoning_effort",
        )
    for number, tool in enumerate(tools):
        _check_function(tool.get("function"), f"tools[{number}].function")
    messages = _list(request.get("messages"), "messages", required=True)
    _check_messages(messages)


def check_responses(request: Mapping[str, Any]) -> None:
    """Check a Responses request.

    Raises:
        RefusedError: OpenAI would refuse it.
    """
    _check_fields(request, _RESPONSES_FIELDS)
    if request.get("previous_response_id") or request.get("conversation"):
        raise RefusedError("The offline model stores nothing: send the whole conversation as input.")
    reasoning = request.get("reasoning")
    _check_effort(reasoning.get("effort") if isinstance(reasoning, dict) else reasoning, "reasoning.effort")
    for number, tool in enumerate(_list(request.get("tools"), "tools")):
        _check_function(tool, f"tools[{number}]")
    given = request.get("input")
    if not isinstance(given, str):
        _check_items(_list(given, "input", required=True))


def _check_fields(request: Mapping[str, Any], known: frozenset[str]) -> None:
    for name in request:
        if name not in known:
            raise RefusedError(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if request.get("stream"):
        raise RefusedError("The offline model does not stream.", "stream")
    if not isinstance(request.get("model"), str):
        raise RefusedError("you must provide a model parameter")


def _check_effort(effort: object, param: str) -> None:
    if effort is not None and effort not in _EFFORTS:
        supported = ", ".join(f"'{name}'" for name in _EFFORTS)
        raise RefusedError(f"Invalid value: '{effort}'. Supported values are: {supported}.", param, "invalid_value")


def _check_function(function: object, param: str) -> None:
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise RefusedError(
            f"Missing required parameter: '{param}.name'.", f"{param}.name", "missing_required_parameter"
        )
    _check_name(name, f"{param}.name")


def _check_name(name: object, param: str) -> None:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        raise RefusedError(f"Invalid '{param}': string does not match pattern '^[a-zA-Z0-9_-]+$'.", param)


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    awaited: list[str] = []
    for number, message in enumerate(messages):
        role = message.get("role")
        if role not in _ROLES:
            raise RefusedError(f"Invalid value: '{role}'.", f"messages[{number}].role", "invalid_value")
        if role == "tool":
            if message.get("tool_call_id") not in awaited:
                raise RefusedError(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with "
                    "'tool_calls'.",
                    f"messages[{number}].role",
                )
            awaited.remove(message["tool_call_id"])
            continue
        _check_all_answered(awaited)
        if not message.get("content") and not message.get("tool_calls"):
            raise RefusedError(
                "Invalid value for 'content': expected a string, got null.", f"messages[{number}].content"
            )
        for call in message.get("tool_calls") or ():
            _check_name(call["function"]["name"], f"messages[{number}].tool_calls[0].function.name")
            awaited.append(call["id"])
    _check_all_answered(awaited)


def _check_all_answered(awaited: Sequence[str]) -> None:
    if awaited:
        raise RefusedError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(awaited)}",
            "messages",
        )


def _check_items(items: Sequence[Mapping[str, Any]]) -> None:
    kinds = [item.get("type", "message") for item in items]
    for number, (item, kind, after) in enumerate(zip(items, kinds, [*kinds[1:], None], strict=True)):
        if kind not in _ITEM_TYPES:
            raise RefusedError(f"Invalid value: '{kind}'.", f"input[{number}].type", "invalid_value")
        if kind == "reasoning":
            _check_reasoning(item, after)
    called = [item.get("call_id") for item in items if item.get("type") == "function_call"]
    answered = [item.get("call_id") for item in items if item.get("type") == "function_call_output"]
    for call_id in called:
        if call_id not in answered:
            raise RefusedError(f"No tool output found for function call {call_id}.", "input")
    for call_id in answered:
        if call_id not in called:
            raise RefusedError(f"No tool call found for function call output with call_id {call_id}.", "input")


def _check_reasoning(item: Mapping[str, Any], after: str | None) -> None:
    content = item.get("encrypted_content")
    if not content:
        raise RefusedError(
            f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to false.",
            "input",
            status=HTTPStatus.NOT_FOUND,
        )
    if not str(content).startswith(ENCRYPTED_PREFIX):
        raise RefusedError("The encrypted content could not be verified.", None, "invalid_encrypted_content")
    if after is None or after == "function_call_output":
        raise RefusedError(
            f"Item '{item.get('id')}' of type 'reasoning' was provided without its required following item.", "input"
        )


def _list(value: object, param: str, *, required: bool = False) -> list[dict[str, Any]]:
    if value is None and not required:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise RefusedError(f"Invalid type for '{param}': expected an array of objects.", param, "invalid_type")
    return value
