"""From what a model wrote to valid arguments, or to words that tell it what to mend."""

import json
import math
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from taskchat.text import storable_json
from taskchat.tools.definition import Tool

LARGEST_ARGUMENTS = 50_000
"""Characters; the longest valid arguments, with every character of them escaped, take half of it."""
DEEPEST_ARGUMENTS = 16
"""Levels of nesting; valid arguments have two."""
_NAMED_FAULTS = 8
_NAMED_CHARACTERS = 64


class UnreadableArgumentsError(ValueError):
    """Raised when arguments are not a JSON object; the text tells a model what to mend."""


class InvalidArgumentsError(ValueError):
    """Raised when arguments do not fit the tool; the text tells a model what to mend, field by field."""


def parse(text: str) -> dict[str, Any]:
    """Read a JSON object (RFC 8259) that a model wrote; blank text and null mean no arguments.

    What a database cannot hold becomes U+FFFD, so that the audit trail records the very arguments that ran.

    Raises:
        UnreadableArgumentsError: it is no JSON object, or one beyond all measure.
    """
    if len(text) > LARGEST_ARGUMENTS:
        raise UnreadableArgumentsError(f"The arguments are longer than {LARGEST_ARGUMENTS} characters.")
    value = _load(text) if text.strip() else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableArgumentsError('The arguments must be one JSON object, as in {"task_id": 7}.')
    if _is_deeper(value, DEEPEST_ARGUMENTS):
        raise UnreadableArgumentsError("The arguments are nested too deeply.")
    arguments: dict[str, Any] = storable_json(value)
    return arguments


def validate(tool: Tool, arguments: Mapping[str, Any], time_zone: ZoneInfo) -> BaseModel:
    """Return the arguments as the tool's input; times without an offset are meant in `time_zone`.

    Raises:
        InvalidArgumentsError: they do not fit the tool.
    """
    try:
        return tool.input.model_validate(arguments, context={"time_zone": time_zone})
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    described = [_describe(tool, fault) for fault in faults[:_NAMED_FAULTS]]
    raise InvalidArgumentsError(f"{tool.name} cannot take these arguments. {' '.join(described)}")


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise UnreadableArgumentsError("The arguments are nested too deeply.") from None
    except json.JSONDecodeError as error:
        message = f"The arguments are not valid JSON: {error.msg} at character {error.pos}."
        raise UnreadableArgumentsError(message) from None
    except ValueError:
        # Python's own as well: it reads no integer of more than 4300 digits.
        raise UnreadableArgumentsError("The arguments hold a number that is too large or not finite.") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _is_deeper(value: Any, levels: int) -> bool:
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(items) and (levels == 0 or any(_is_deeper(item, levels - 1) for item in items))


def _describe(tool: Tool, fault: ErrorDetails) -> str:
    field = ".".join(str(part) for part in fault["loc"])[:_NAMED_CHARACTERS]
    match fault["type"]:
        case "missing":
            return f"{field}: This is required and must not be empty."
        case "extra_forbidden":
            return f"{field}: There is no such argument; the arguments are {', '.join(tool.input.model_fields)}."
        case _:
            message = fault["msg"].removeprefix("Value error, ")
            return f"{field}: {message}." if field else f"{message}."
