"""Rules by which providers refuse requests, as a scripted provider applies them.

The errors have the forms of the providers and our own words. Each rule takes a request's body and returns a refusal,
or None.
"""

import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from tests.support.scripted_model import Answer, RawAnswer, ReceivedRequest, ScriptedAnswer, status

Rule: TypeAlias = Callable[[Mapping[str, Any]], RawAnswer | None]

CHAT_FIELDS = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "reasoning_effort", "max_completion_tokens", "store"),
        *("prompt_cache_key", "safety_identifier", "parallel_tool_calls"),
    }
)
RESPONSES_FIELDS = frozenset(
    {
        *("model", "instructions", "input", "tools", "tool_choice", "reasoning", "include", "store"),
        *("max_output_tokens", "prompt_cache_key", "safety_identifier", "parallel_tool_calls"),
    }
)


def picky(*answers: Answer, rules: tuple[Rule, ...]) -> list[ScriptedAnswer]:
    """Return a script that gives the answers in turn, each to the first request that no rule refuses."""
    left = deque(answers)

    def answer(request: ReceivedRequest) -> Answer:
        for rule in rules:
            if (refusal := rule(request.body)) is not None:
                return refusal
        return left.popleft()

    return [answer] * 30


def openai_error(message: str, param: str | None = None, code: str | None = None, number: int = 400) -> RawAnswer:
    """Return an error in OpenAI's form."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return status(number, body={"error": error})


def assistant_messages(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the assistant's messages that hold tool calls."""
    yield from (message for message in body["messages"] if message.get("tool_calls"))


def openai_chat(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse what OpenAI refuses on Chat Completions this winter: https://github.com/openai/openai-openapi/issues/541."""
    for name in body.keys() - CHAT_FIELDS:
        return openai_error(f"Unsupported parameter: '{name}' is not supported with this model.", name)
    if body.get("tools") and body.get("reasoning_effort") != "none":
        return openai_error(
            "Function tools with reasoning_effort are not supported for gpt-6.1-terra in /v1/chat/completions. "
            "Please use /v1/responses instead.",
            "reasoning_effort",
        )
    return None


def openai_responses(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse what OpenAI refuses on Responses without storage."""
    for name in body.keys() - RESPONSES_FIELDS:
        return openai_error(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
    if body.get("store") is not False:
        return openai_error("This test wants nothing to be stored.", "store")
    kinds = [item.get("type", "message") for item in body["input"]]
    for item, kind, after in zip(body["input"], kinds, [*kinds[1:], None], strict=True):
        if kind == "reasoning" and not item.get("encrypted_content"):
            return openai_error(f"Item with id '{item.get('id')}' not found.", "input", number=404)
        if kind == "reasoning" and after not in ("reasoning", "function_call", "message"):
            return openai_error("Item of type 'reasoning' was provided without its required following item.")
    called, answered = (
        [item["call_id"] for item in body["input"] if item.get("type") == kind]
        for kind in ("function_call", "function_call_output")
    )
    return None if called == answered else openai_error("No tool output found for function call.")


def responses_only(_body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse Chat Completions altogether."""
    if "messages" not in _body:
        return None
    return openai_error("This model is only supported in v1/responses and not in v1/chat/completions.", "model")


def refuses_none_effort(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse the effort `none`, as models before GPT-5.1 do."""
    if body.get("reasoning_effort") == "none":
        return openai_error("Unsupported value: 'reasoning_effort' does not support 'none' here.", "reasoning_effort")
    return None


def mistral(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse what Mistral refuses: unknown fields, ids of another form, a user after a tool."""
    for name in body.keys() - {"model", "messages", "tools", "tool_choice", "max_tokens"}:
        detail = {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}
        return status(422, body={"object": "error", "detail": [detail], "type": "invalid_request_error"})
    for message in assistant_messages(body):
        for call in message["tool_calls"]:
            if not re.fullmatch("[A-Za-z0-9]{9}", call["id"]):
                text = f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9."
                return status(400, body={"object": "error", "message": text, "type": "invalid_request_message_order"})
    for before, after in itertools.pairwise(body["messages"]):
        if (before["role"], after["role"]) == ("tool", "user"):
            return status(400, body={"object": "error", "message": "Unexpected role 'user' after role 'tool'"})
    return None


def alternating(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse neighbours of one role, as the chat templates of Gemma and Llama do in vLLM."""
    for before, after in itertools.pairwise(body["messages"]):
        if before["role"] == after["role"] != "tool":
            text = "Conversation roles must alternate user/assistant/user/assistant/..."
            return status(400, body={"object": "error", "message": text, "type": "BadRequestError", "code": 400})
    return None


def single_calls(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse several calls in one message, as Llama's chat template does."""
    if any(len(message["tool_calls"]) > 1 for message in assistant_messages(body)):
        return status(400, body={"object": "error", "message": "This model only supports single tool-calls at once!"})
    return None


def no_system_role(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse instructions in a message of their own, as Gemma's first chat template does."""
    if body["messages"][0]["role"] == "system":
        return status(400, body={"error": {"code": 400, "message": "System role not supported"}})
    return None


def gemini(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse a step without a thought signature: https://ai.google.dev/gemini-api/docs/thought-signatures."""
    for place, message in enumerate(assistant_messages(body)):
        call = message["tool_calls"][0]
        signature = call.get("extra_content", {}).get("google", {}).get("thought_signature")
        if signature not in ("signature", "skip_thought_signature_validator"):
            text = f"Function call is missing a thought_signature in functionCall parts, function call {place}."
            return status(400, body=[{"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}])
    return None


def gemini_schema(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse a keyword of JSON Schema that Gemini's own form of it does not have."""
    if "additionalProperties" in str(body["tools"]):
        text = (
            'Invalid JSON payload received. Unknown name "additionalProperties" at '
            "'tools[0].function_declarations[0].parameters': Cannot find field."
        )
        return status(400, body=[{"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}}])
    return None


def deepseek(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse a tool call without its reasoning: https://api-docs.deepseek.com/guides/thinking_mode."""
    if any("reasoning_content" not in message for message in assistant_messages(body)):
        return openai_error("The `reasoning_content` in the thinking mode must be passed back to the API.")
    return None


def kimi(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse a tool call without its reasoning, an empty one included."""
    for place, message in enumerate(body["messages"]):
        if message.get("tool_calls") and not message.get("reasoning_content"):
            text = (
                f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {place}"
            )
            return status(400, body={"error": {"message": text, "type": "invalid_request_error"}})
    return None


def groq(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse fields that the protocol does not know: https://github.com/janhq/jan/issues/8136."""
    for place, message in enumerate(body["messages"]):
        for name in message.keys() - {"role", "content", "tool_calls", "tool_call_id", "reasoning"}:
            text = (
                f"'messages.{place}' : for 'role:assistant' the following must be satisfied"
                f"[('messages.{place}' : property '{name}' is unsupported)]"
            )
            return openai_error(text)
    return None


def bedrock(body: Mapping[str, Any]) -> RawAnswer | None:
    """Refuse a history with tool calls in a request without tools."""
    if any(assistant_messages(body)) and not body.get("tools"):
        text = "The toolConfig field must be defined when using toolUse and toolResult content blocks."
        return status(400, body={"message": text})
    return None


def refuses(parameter: str) -> Rule:
    """Return a rule that refuses one parameter by name."""

    def rule(body: Mapping[str, Any]) -> RawAnswer | None:
        return openai_error(f"Unrecognized request argument supplied: {parameter}") if parameter in body else None

    return rule
