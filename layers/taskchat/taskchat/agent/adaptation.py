"""Remember what a provider refused, so that a new provider works without settings of its own.

A provider that refuses a request says why. If a remedy is known, it is applied from then on, with one warning. The
table `REMEDIES` holds them all.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from taskchat.agent.refusals import Refusal

OPTIONAL_PARAMETERS: Final = (
    "reasoning_effort",
    "reasoning",
    "prompt_cache_key",
    "safety_identifier",
    "store",
    "include",
    "tool_choice",
    "parallel_tool_calls",
)
"""Parameters that a request can do without."""
OUTPUT_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens")
"""Names that providers give to the same parameter."""
BASIC_SCHEMA_KEYWORDS: Final = frozenset({"type", "properties", "required", "items", "enum", "description"})
"""JSON Schema keywords that every provider accepts."""
_REFUSED = re.compile(
    r"unsupported|not supported|unknown|unrecogni[sz]ed|unexpected|extra|not permitted|not allowed|invalid(?!_)"
    r"|cannot find field|additional propert|does not support|doesn't support"
)
_SCHEMA = re.compile(r"schema|function_declarations|tools?\[|\btools?\.\d|parameters")
_MESSAGE_FIELDS: Final = {"role", "content", "tool_calls", "tool_call_id"}
_CALL_FIELDS: Final = {"id", "type", "function"}
_RESPONSES_ONLY = re.compile(r"v1/responses|responses api|only supported in (?:the )?responses")


@dataclass(slots=True)
class Adaptation:
    """Differences between requests to one provider and the default ones. A new process begins with none."""

    left_out: set[str] = field(default_factory=set)
    """Parameters that the provider refused."""
    schema_keywords_left_out: set[str] = field(default_factory=set)
    effort: str | None = None
    """The reasoning effort that the provider insists on."""
    short_ids: bool = False
    """Whether even the provider's own call ids are replaced by nine letters and digits."""
    one_call_a_message: bool = False
    """Whether an assistant message may hold no more than one call."""
    instructions_as_user: bool = False
    """Whether the provider refuses messages of the role `system`."""
    sends_context: bool = True
    """Whether a message is sent back with the extra fields that the provider returned."""
    needs_reasoning: bool = False
    """Whether every assistant message must have `reasoning_content`."""
    needs_signatures: bool = False
    """Whether every step must have a `thought_signature`."""
    trusts_signatures: bool = True
    """Whether the provider accepts the signatures that it made."""
    may_switch_protocol: bool = True
    """Whether no setting says which protocol to speak."""
    wants_responses: bool = False
    """Whether the model is reached through the Responses API only."""

    def schema(self, schema: Any) -> Any:
        """Return a JSON Schema without the keywords that the provider refused."""
        if not self.schema_keywords_left_out:
            return schema
        return _without_keywords(schema, self.schema_keywords_left_out)


Remedy = Callable[[Adaptation, Refusal, Mapping[str, Any]], str | None]
"""Change the adaptation if that helps against a refusal. Return a description of the change, or None."""


def adapt(adaptation: Adaptation, refusal: Refusal, request: Mapping[str, Any]) -> str | None:
    """Apply the first remedy that helps against a refusal. Return a description of the change, or None without one."""
    if not refusal.is_malformed:
        return None
    for remedy in REMEDIES:
        change = remedy(adaptation, refusal, request)
        if change is not None:
            return change
    return None


def _reasoning(adaptation: Adaptation, refusal: Refusal, request: Mapping[str, Any]) -> str | None:
    """DeepSeek and Kimi refuse a tool call without its reasoning; Groq and others refuse the field.

    https://api-docs.deepseek.com/guides/thinking_mode, https://github.com/continuedev/continue/issues/11711,
    https://github.com/janhq/jan/issues/8136
    """
    if "reasoning_content" in refusal.text and re.search("passed back|missing|required", refusal.text):
        return _once(adaptation, "needs_reasoning", True, "every assistant message carries reasoning_content")
    named = {name for name in _message_fields(request.get("messages")) if name.lower() in refusal.text}
    if named and _REFUSED.search(refusal.text):
        adaptation.needs_reasoning = False
        return _once(adaptation, "sends_context", False, f"{', '.join(sorted(named))} is not sent back")
    return None


def _signatures(adaptation: Adaptation, refusal: Refusal, _request: Mapping[str, Any]) -> str | None:
    """Gemini 3 refuses a call without its signature, and one with the signature of another key or model.

    https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    if not re.search(r"thought[_ ]?signature", refusal.text):
        return None
    if adaptation.needs_signatures or re.search(r"(?:invalid|corrupted) thought", refusal.text):
        adaptation.needs_signatures = True
        return _once(adaptation, "trusts_signatures", False, "thought signatures are replaced by the documented dummy")
    return _once(adaptation, "needs_signatures", True, "calls without a thought signature carry the documented dummy")


def _ids(adaptation: Adaptation, refusal: Refusal, _request: Mapping[str, Any]) -> str | None:
    if re.search(r"tool[_ ]?(?:call|use)[_ ]?id", refusal.text):
        return _once(adaptation, "short_ids", True, "ids of calls have nine letters and digits")
    return None


def _single_calls(adaptation: Adaptation, refusal: Refusal, _request: Mapping[str, Any]) -> str | None:
    """Llama's chat template: https://github.com/vllm-project/vllm/issues/25108."""
    if "single tool-call" in refusal.text or "single tool call" in refusal.text:
        return _once(adaptation, "one_call_a_message", True, "each assistant message holds one tool call")
    return None


def _instructions(adaptation: Adaptation, refusal: Refusal, _request: Mapping[str, Any]) -> str | None:
    if re.search(r"system role|role:? ?['\"`]?system|system message|developer instruction", refusal.text):
        return _once(adaptation, "instructions_as_user", True, "the instructions stand in the first user message")
    return None


def _effort(adaptation: Adaptation, refusal: Refusal, request: Mapping[str, Any]) -> str | None:
    """OpenAI refuses tools with an effort on Chat Completions: https://github.com/openai/openai-openapi/issues/541."""
    is_open = request.get("reasoning_effort") != "none" and "reasoning_effort" not in adaptation.left_out
    if is_open and "function tools with reasoning_effort" in refusal.text:
        return _once(adaptation, "effort", "none", "reasoning_effort is none")
    return None


def _protocol(adaptation: Adaptation, refusal: Refusal, request: Mapping[str, Any]) -> str | None:
    if adaptation.may_switch_protocol and "messages" in request and _RESPONSES_ONLY.search(refusal.text):
        return _once(adaptation, "wants_responses", True, "the Responses API is used")
    return None


def _parameters(adaptation: Adaptation, refusal: Refusal, request: Mapping[str, Any]) -> str | None:
    """Leave out the parameter that the provider names; an output limit has a second name, which is tried first."""
    for name in (*OUTPUT_LIMITS, *OPTIONAL_PARAMETERS):
        if name in request and _names(refusal, name):
            adaptation.left_out.add(name)
            return f"{name} is left out"
    if _names(refusal, "strict") and "strict" not in adaptation.left_out:
        adaptation.left_out.add("strict")
        return "strict is left out"
    return None


def _schemas(adaptation: Adaptation, refusal: Refusal, request: Mapping[str, Any]) -> str | None:
    """Leave out the schema keyword that the provider names, or all but the basic ones if it names none."""
    if not _SCHEMA.search(refusal.text):
        return None
    used = _keywords(request.get("tools")) - BASIC_SCHEMA_KEYWORDS
    named = {word for word in used if re.search(rf"(?<![\w$]){re.escape(word.lower())}(?!\w)", refusal.text)}
    leaving = named or (used if re.search("schema", refusal.text) else set())
    if not leaving:
        return None
    adaptation.schema_keywords_left_out |= leaving
    return f"schemas leave out {', '.join(sorted(leaving))}"


REMEDIES: Final[tuple[Remedy, ...]] = (
    _reasoning,
    _signatures,
    _ids,
    _single_calls,
    _effort,
    _protocol,
    _parameters,
    _schemas,
    _instructions,
)


def _once(adaptation: Adaptation, name: str, value: object, change: str) -> str | None:
    if getattr(adaptation, name) == value:
        return None
    setattr(adaptation, name, value)
    return change


def _names(refusal: Refusal, parameter: str) -> bool:
    named = refusal.param.lower()
    if named == parameter or named.startswith((f"{parameter}.", f"{parameter}[")):
        return True
    if parameter == "include" and "encrypted content is not supported" in refusal.text:
        return True
    name = re.escape(parameter)
    # A parameter whose name is an English word counts only in quotes.
    pattern = rf"(?<![\w.]){name}(?!\w)" if "_" in parameter else rf"['\"`]{name}(?:\.\w+)?['\"`]"
    return bool(re.search(pattern, refusal.text) and (_REFUSED.search(refusal.text) or "too large" in refusal.text))


def _message_fields(messages: object) -> set[str]:
    """Return the fields of messages and of calls that the protocol does not define."""
    found: set[str] = set()
    for message in messages if isinstance(messages, list) else ():
        found |= message.keys() - _MESSAGE_FIELDS
        for call in message.get("tool_calls", ()):
            found |= call.keys() - _CALL_FIELDS
    return found


def _keywords(tools: object) -> set[str]:
    """Return the JSON Schema keywords that the tools of a request use."""
    found: set[str] = set()
    for tool in tools if isinstance(tools, list) else ():
        _collect(tool.get("function", tool).get("parameters"), found)
    return found


def _collect(schema: Any, found: set[str]) -> None:
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        found.add(keyword)
        for part in _subschemas(keyword, value):
            _collect(part, found)


def _subschemas(keyword: str, value: Any) -> list[Any]:
    if keyword in ("properties", "$defs", "patternProperties") and isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    return [value]


def _without_keywords(schema: Any, keywords: set[str]) -> Any:
    if isinstance(schema, list):
        return [_without_keywords(item, keywords) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {}
    for keyword, value in schema.items():
        if keyword in keywords:
            continue
        is_map = keyword in ("properties", "$defs", "patternProperties") and isinstance(value, dict)
        kept[keyword] = (
            {name: _without_keywords(part, keywords) for name, part in value.items()}
            if is_map
            else _without_keywords(value, keywords)
        )
    return kept
