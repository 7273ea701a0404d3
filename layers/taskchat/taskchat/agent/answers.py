"""Validate the answers of providers, in both protocols. Any field may be missing or have an unexpected type."""

import ast
import json
import re
import secrets
import string
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from taskchat.json_values import is_deeper
from taskchat.text import storable, storable_json
from taskchat.toolkit import ToolRequest

MOST_TOOL_CALLS = 32
"""Number of calls of one answer that are run. A model that asks for more can repeat the others."""
LONGEST_REPLY_CHARACTERS = 16_000
"""Longest reply to store. A page of a hundred replies must fit into a Lambda response of 6 MB."""
MOST_TOKENS = 10_000_000
"""Largest number of tokens to accept. No call uses so many."""
LARGEST_CONTEXT_BYTES = 64_000
"""Largest context, as JSON, to store with one message for its provider."""
LARGEST_PYTHON_ARGUMENTS = 50_000
CUT_OFF = "\n\n(The answer was cut off here.)"
REFUSED = "I cannot help with that."
_CALL_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_DEEPEST_CONTEXT = 16
_THINKING = re.compile(r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THINKING_ENDS = re.compile(r"\A.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_TEXT_PARTS = {None, "text", "output_text", "input_text"}
_NAME_PREFIX = re.compile(r"\A(?:functions?|tools?|default_api|api)[./:]")
_NAME_END = re.compile(r"(?::\d+|<\|.*)\Z", re.DOTALL)
# Markers of unparsed tool calls: Hermes and Qwen, Llama, Mistral, Kimi, DeepSeek, Anthropic, gpt-oss.
_CALL_MARKS = re.compile(
    r"<tool_call|<function[=_ ]|<function_calls|<invoke |\[TOOL_CALLS\]|<\|tool_call|<\|python_tag\|>"
    "|<\uff5ctool|<\uff5cDSML\uff5c"
    r"|to=functions\.|<\|channel\|>"
)
_CALL_AS_JSON = re.compile(
    r"\A\s*(?:```(?:json|tool_code|python)?\s*)?(?:\[\s*)?\{\s*[\"'](?:name|tool|function|type)[\"']"
)
_CALL_AS_CODE = r"\A\s*(?:```(?:tool_code|python)?\s*)?(?:print\()?(?:functions?\.|default_api\.)?(?:{names})\s*\("


class FaultyAnswerError(Exception):
    """Raised for an unusable answer. The text gives the reason and quotes nothing of the answer."""


def parse(body: bytes) -> Mapping[str, Any]:
    """Read a JSON object.

    Raises:
        FaultyAnswerError: the body is not a JSON object.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise FaultyAnswerError("its answer is not JSON") from None
    if not isinstance(document, dict):
        raise FaultyAnswerError("its answer is not a JSON object")
    return document


def mapping(value: object) -> Mapping[str, Any]:
    """Return `value` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> Sequence[Any]:
    """Return `value` if it is a JSON array, else an empty one."""
    return value if isinstance(value, list) else ()


def word(value: object) -> str:
    """Return `value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def tokens(*values: object) -> int:
    """Return the first of the values that can be a number of tokens, or 0."""
    for value in values:
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS:
            return value
    return 0


def text_of(content: object) -> str:
    """Return the text of a message's content: a string, or a list of strings and of parts with a `text`.

    Reasoning is left out: parts of another type, and `<think>` blocks that a server without a reasoning parser left in
    the text.
    """
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        content = "".join(_part(part) for part in content)
    text = _THINKING.sub("", word(content))
    # If the chat template opens the block, the text holds only its end.
    return storable(_THINKING_ENDS.sub("", text)).strip()


def reply(text: str, *, is_cut_off: bool) -> str:
    """Return a reply to store and show, shortened to the limit and marked if it is incomplete."""
    if (is_cut_off and text) or len(text) > LONGEST_REPLY_CHARACTERS:
        return text[:LONGEST_REPLY_CHARACTERS] + CUT_OFF
    return text


def requests(calls: Iterable[tuple[object, object, object]], known: Collection[str]) -> list[ToolRequest]:
    """Read the id, name and arguments of each call; `known` are the names of the tools that were offered."""
    made: list[ToolRequest] = []
    seen: set[str] = set()
    for given_id, name, arguments in calls:
        if len(made) == MOST_TOOL_CALLS:
            break
        call_id = word(given_id)
        # Providers refuse an empty, a repeated and an overlong id in every later request.
        if call_id in seen or not _CALL_ID.fullmatch(call_id):
            call_id = new_id()
        seen.add(call_id)
        made.append(ToolRequest(call_id, function_name(word(name), known), arguments_text(arguments)))
    return made


def new_id() -> str:
    """Return a new id of a call: nine letters and digits, the one form that every provider takes."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def function_name(name: str, known: Collection[str]) -> str:
    """Return a tool's name without the prefix or suffix of some models, such as `functions.` or `<|channel|>`."""
    if name in known:
        return name
    bare = _NAME_END.sub("", _NAME_PREFIX.sub("", name.strip()))
    return bare if bare in known else name


def arguments_text(arguments: object) -> str:
    """Return arguments as JSON text. Objects, doubly encoded JSON and Python literals are accepted too."""
    if arguments is None:
        return "{}"
    if not isinstance(arguments, str):
        return json.dumps(arguments)
    text = arguments.strip() or "{}"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return _from_python(text)
    return arguments_text(value) if isinstance(value, str) and value.strip().startswith("{") else text


def is_written_call(text: str, known: Collection[str]) -> bool:
    """Tell whether a reply is a tool call written as text, which called nothing."""
    if not any(name in text for name in known):
        return False
    as_code = _CALL_AS_CODE.format(names="|".join(map(re.escape, known)))
    return bool(_CALL_MARKS.search(text) or _CALL_AS_JSON.match(text) or re.match(as_code, text))


def storable_context(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a provider's context in a form that can be stored, or None if it is too large or too deep."""
    try:
        text = json.dumps(context, ensure_ascii=False)
    except (ValueError, RecursionError):
        return None
    if len(text.encode(errors="replace")) > LARGEST_CONTEXT_BYTES or is_deeper(context, _DEEPEST_CONTEXT):
        return None
    stored: Mapping[str, Any] = storable_json(dict(context))
    return stored


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    described = mapping(part)
    kind = described.get("type")
    if isinstance(kind, str | None) and kind in _TEXT_PARTS:
        return word(described.get("text"))
    return ""


def _from_python(text: str) -> str:
    if not text.startswith("{") or len(text) > LARGEST_PYTHON_ARGUMENTS:
        return text
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(text)
        return json.dumps(value) if isinstance(value, dict) else text
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
