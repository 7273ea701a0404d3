"""The two protocols of the offline model, both answered from the same conversation."""

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local.model.conversation import Move, next_move
from local.model.plans import MODEL_NAME, CallTools, Say
from local.model.rules import ENCRYPTED_PREFIX, check_chat, check_responses

_CHARACTERS_PER_TOKEN = 4


def chat_completion(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a Chat Completions request.

    Raises:
        RefusedError: OpenAI would refuse it.
    """
    check_chat(request)
    messages = request["messages"]
    offered = (tool["function"]["name"] for tool in request.get("tools") or ())
    move = next_move(messages, _offered(request, offered))
    message = _message(move, messages)
    given, made = _tokens(request), _tokens(message)
    return {
        "id": f"chatcmpl-{_digest(messages)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL_NAME,
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if isinstance(move, CallTools) else "stop",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


def response(request: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a Responses request.

    Raises:
        RefusedError: OpenAI would refuse it.
    """
    check_responses(request)
    messages = _messages(request)
    offered = (tool["name"] for tool in request.get("tools") or ())
    move = next_move(messages, _offered(request, offered))
    output = _output(move, messages, wants_reasoning="reasoning.encrypted_content" in (request.get("include") or ()))
    given, made = _tokens(request), _tokens(output)
    return {
        "id": f"resp_{_digest(messages)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": MODEL_NAME,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": output,
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": given + made,
        },
    }


def _offered(request: Mapping[str, Any], names: Iterable[str]) -> frozenset[str]:
    return frozenset() if request.get("tool_choice") == "none" else frozenset(names)


def _message(move: Move, messages: object) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    if isinstance(move, Say):
        return message | {"content": move.text}
    calls = [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        for call_id, name, arguments in _calls(move, messages)
    ]
    return message | {"tool_calls": calls}


def _output(move: Move, messages: object, *, wants_reasoning: bool) -> list[dict[str, Any]]:
    if isinstance(move, Say):
        part = {"type": "output_text", "text": move.text, "annotations": []}
        return [
            {
                "type": "message",
                "id": f"msg_{_digest(messages)}",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        ]
    digest = _digest(messages)
    reasoning = {
        "type": "reasoning",
        "id": f"rs_{digest}",
        "summary": [],
        "encrypted_content": f"{ENCRYPTED_PREFIX}{digest}",
    }
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{call_id}",
            "call_id": call_id,
            "status": "completed",
            "name": name,
            "arguments": arguments,
        }
        for call_id, name, arguments in _calls(move, messages)
    ]
    return [reasoning, *calls] if wants_reasoning else calls


def _calls(move: CallTools, messages: object) -> list[tuple[str, str, str]]:
    context = json.dumps(messages)
    return [
        # Made from the conversation so far, so that the same request always gets the same answer.
        (f"call_{_digest([context, position])}", str(call.tool), json.dumps(call.arguments, ensure_ascii=False))
        for position, call in enumerate(move.calls)
    ]


def _messages(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a Responses request as the messages of Chat Completions."""
    messages: list[dict[str, Any]] = []
    if request.get("instructions"):
        messages.append({"role": "system", "content": request["instructions"]})
    given = request["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        match item.get("type", "message"):
            case "message":
                messages.append({"role": item.get("role"), "content": item.get("content")})
            case "function_call":
                function = {"name": item["name"], "arguments": item["arguments"]}
                call = {"id": item["call_id"], "type": "function", "function": function}
                messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            case "function_call_output":
                messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]})
    return messages


def _tokens(value: Sequence[Any] | Mapping[str, Any]) -> int:
    return len(json.dumps(value)) // _CHARACTERS_PER_TOKEN


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
