"""Argument and result types for tools of any domain.

Models send numbers as text, names in capital letters, and dates without a time. These types accept all of that.
"""

import enum
import re
from datetime import UTC, date, datetime, time, tzinfo
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, SerializationInfo, ValidationInfo, WithJsonSchema

from taskchat.models import LARGEST_ID, SMALLEST_ID

FIRST_YEAR, LAST_YEAR = 1970, 9998
"""Within these years, conversion between time zones stays within the range of `datetime`."""

_START_OF_DAY = time(0)
_END_OF_DAY = time(23, 59, 59)


def whole_number(value: Any) -> Any:
    """Return an integer for text of digits and for a float without a fraction; JSON has one kind of number."""
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def lower_case(value: Any) -> Any:
    """Return text in lower case."""
    return value.lower() if isinstance(value, str) else value


def as_list(value: Any) -> Any:
    """Return a list for a single text."""
    return [value] if isinstance(value, str) else value


def names_of(kind: type[enum.StrEnum]) -> WithJsonSchema:
    """Describe the enum's values to a model."""
    return WithJsonSchema({"type": "string", "enum": [name.value for name in kind]})


def _time_zone(context: Any) -> tzinfo:
    """Return the context's `time_zone`. REST bodies are validated without a context, and mean UTC."""
    time_zone: tzinfo = UTC if context is None else context["time_zone"]
    return time_zone


def _end_of_day(value: Any, info: ValidationInfo) -> datetime:
    return _instant(value, info, _END_OF_DAY)


def _start_of_day(value: Any, info: ValidationInfo) -> datetime:
    return _instant(value, info, _START_OF_DAY)


def _instant(value: Any, info: ValidationInfo, time_of_a_bare_date: time) -> datetime:
    """Read an ISO 8601 date or date-time. Without an offset it is in the context's `time_zone`."""
    try:
        moment = _parse(value, time_of_a_bare_date)
    except (ValueError, TypeError, AttributeError):
        raise ValueError("Give an ISO 8601 date or date-time, as in 2026-03-31 or 2026-03-31T17:30:00") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"Give a year from {FIRST_YEAR} to {LAST_YEAR}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=_time_zone(info.context))
    return moment.replace(microsecond=0).astimezone(UTC)


def _parse(value: Any, time_of_a_bare_date: time) -> datetime:
    text = value.upper()
    try:
        return datetime.combine(date.fromisoformat(text), time_of_a_bare_date)
    except ValueError:
        return datetime.fromisoformat(text)


def _local(moment: datetime, info: SerializationInfo) -> str:
    return moment.astimezone(_time_zone(info.context)).isoformat(timespec="seconds")


_TEXT = WithJsonSchema({"type": "string"})

RowId = Annotated[
    int,
    Field(strict=True, ge=SMALLEST_ID, le=LARGEST_ID),
    BeforeValidator(whole_number),
    # The maximum is left out of the schema: JavaScript clients would read another number.
    WithJsonSchema({"type": "integer", "minimum": SMALLEST_ID}),
]
"""The id of a row."""
InstantOrEndOfDay = Annotated[datetime, BeforeValidator(_end_of_day), _TEXT]
"""An instant in UTC. A date without a time means the last second of that day."""
InstantOrStartOfDay = Annotated[datetime, BeforeValidator(_start_of_day), _TEXT]
"""An instant in UTC. A date without a time means the first second of that day."""
LocalTime = Annotated[datetime, PlainSerializer(_local), WithJsonSchema({"type": "string", "format": "date-time"})]
"""An instant, written in the context's `time_zone` with its offset, to the second."""
