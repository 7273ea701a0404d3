"""Types of the fields of requests: texts, ids and time zones."""

import re
from datetime import tzinfo
from typing import Annotated

from fastapi import Path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from taskchat import time_zones
from taskchat.models import LARGEST_ID, SMALLEST_ID
from taskchat.text import is_storable

LARGEST_LIMIT = 100
_UNKNOWN_TIME_ZONE = PydanticCustomError(
    "time_zone", "Give the name of an IANA time zone, such as Europe/Berlin, or an offset, such as +02:00"
)


def _check_storable(text: str) -> str:
    if not is_storable(text):
        raise PydanticCustomError("storable", "NUL characters and lone surrogates cannot be stored")
    return text


def _decimal(text: str) -> int:
    """Read a decimal number. Python's `int` would also accept `+7`, `7_0` and digits of other scripts."""
    if not re.fullmatch("0|[1-9][0-9]{0,18}", text):
        raise PydanticCustomError("decimal", "Give a whole number in digits")
    return int(text)


def _time_zone(value: object) -> tzinfo:
    if isinstance(value, tzinfo):
        return value
    if value is not None and not isinstance(value, str):
        raise _UNKNOWN_TIME_ZONE
    try:
        return time_zones.parse(value or "")
    except ValueError:
        raise _UNKNOWN_TIME_ZONE from None


Id = Annotated[int, Field(ge=SMALLEST_ID, le=LARGEST_ID)]
"""Id of a row, a BIGINT."""
PathId = Annotated[Id, BeforeValidator(_decimal), Path(alias="id")]
"""The `{id}` of a path, the id of a row."""
Limit = Annotated[int, Field(ge=1, le=LARGEST_LIMIT), BeforeValidator(_decimal)]
"""The size of a page, in a query."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_check_storable)]
"""A person's text, trimmed; add a `max_length`, which counts characters after trimming."""
TimeZone = Annotated[
    tzinfo,
    PlainValidator(_time_zone),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "null"}],
            "description": "Name of an IANA time zone, or an offset from UTC. Null and an empty text mean UTC.",
            "examples": ["Europe/Berlin", "+02:00"],
        }
    ),
]
"""A time zone, by IANA name or by offset from UTC; `str()` gives a name such as `Europe/Berlin` or `UTC+02:00`."""


class Body(BaseModel):
    """A request's body; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
