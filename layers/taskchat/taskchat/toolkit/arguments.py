"""Validation of the arguments that a model wrote. Every error text tells the model how to correct them."""

import json
import math
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from taskchat.json_values import is_deeper
from taskchat.text import storable_json
from taskchat.toolkit.definition import Tool
from taskchat.toolkit.schemas import ToolInput

LARGEST_ARGUMENTS_CHARACTERS = 50_000
"""Twice the length of the longest valid arguments with every character escaped."""
DEEPEST_ARGUMENTS_LEVELS = 16
"""Valid arguments have two levels of nesting."""
_REPORTED_FAULTS = 8
_REPORTED_FIELD_CHARACTERS = 64


class InvalidArgumentsError(ValueError):
    """Raised when arguments do not fit the tool. A tool may raise it too, for a rule about several arguments."""


class UnreadableArgumentsError(InvalidArgumentsError):
    """Raised when arguments are not a JSON object."""


def parse(text: str) -> dict[str, Any]:
    """Read a JSON object (RFC 8259). Blank text and null mean no arguments.

    Characters that a database cannot hold become U+FFFD, so that the audit trail shows exactly what was executed.

    Raises:
        UnreadableArgumentsError: the text is not a JSON object, or is too long or nested too deeply.
    """
    if len(text) > LARGEST_ARGUMENTS_CHARACTERS:
        raise UnreadableArgumentsError(f"The arguments are longer than {LARGEST_ARGUMENTS_CHARACTERS} characters.")
    value = _load(text) if text.strip() else {}
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UnreadableArgumentsError('The arguments must be one JSON object, as in {"task_id": 7}.')
    if is_deeper(value, DEEPEST_ARGUMENTS_LEVELS):
        raise UnreadableArgumentsError("The arguments are nested too deeply.")
    arguments: dict[str, Any] = storable_json(value)
    return arguments


def validate(tool: Tool, arguments: Mapping[str, Any], time_zone: tzinfo) -> ToolInput:
    """Return the arguments as the tool's input. Times without an offset are in `time_zone`.

    Raises:
        InvalidArgumentsError: the arguments do not fit the tool.
    """
    try:
        return tool.input.model_validate(arguments, context={"time_zone": time_zone})
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
    raise InvalidArgumentsError(" ".join(_describe(tool, fault) for fault in faults[:_REPORTED_FAULTS]))


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError:
        raise UnreadableArgumentsError("The arguments are nested too deeply.") from None
    except json.JSONDecodeError as error:
        message = f"The arguments are not valid JSON: {error.msg} at character {error.pos}."
        raise UnreadableArgumentsError(message) from None
    except ValueError:
        # Python refuses integers of more than 4300 digits with a plain ValueError.
        raise UnreadableArgumentsError("The arguments hold a number that is too large or not finite.") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _describe(tool: Tool, fault: ErrorDetails) -> str:
    field = ".".join(str(part) for part in fault["loc"])[:_REPORTED_FIELD_CHARACTERS]
    match fault["type"]:
        case "missing":
            return f"{field}: This is required and must not be empty."
        case "extra_forbidden":
            return f"{field}: There is no such argument; the arguments are {', '.join(tool.input.model_fields)}."
        case _:
            message = fault["msg"].removeprefix("Value error, ")
            return f"{field}: {message}." if field else f"{message}."
