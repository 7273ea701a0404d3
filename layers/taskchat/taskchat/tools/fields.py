"""The kinds of argument. Models send numbers as text, capital letters and dates without a time: all are understood."""

import re
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from taskchat.tasks import (
    DESCRIPTION_CHARACTERS,
    LARGEST_ID,
    LARGEST_LIMIT,
    SMALLEST_ID,
    TITLE_CHARACTERS,
    Priority,
    Status,
)

FIRST_YEAR, LAST_YEAR = 1970, 9998
"""Between them no time zone leads out of what a `datetime` holds."""

_START_OF_DAY = time(0)
_END_OF_DAY = time(23, 59, 59)


def time_zone_of(context: Any) -> ZoneInfo:
    """Return the zone in which the caller's times are meant, from what validation and serialization are given."""
    time_zone: ZoneInfo = context["time_zone"]
    return time_zone


def _whole_number(value: Any) -> Any:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value):
        return int(value)
    # JSON knows one kind of number, so 7.0 is the integer 7.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _in_a_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _due(value: Any, info: ValidationInfo) -> datetime:
    return _instant(value, info, _END_OF_DAY)


def _before(value: Any, info: ValidationInfo) -> datetime:
    return _instant(value, info, _START_OF_DAY)


def _instant(value: Any, info: ValidationInfo, time_of_a_bare_date: time) -> datetime:
    """Read an ISO 8601 date or date-time; without an offset it is meant in the context's `time_zone`."""
    try:
        moment = _parse(value, time_of_a_bare_date)
    except (ValueError, TypeError, AttributeError):
        raise ValueError("Give an ISO 8601 date or date-time, as in 2026-03-31 or 2026-03-31T17:30:00") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"Give a year from {FIRST_YEAR} to {LAST_YEAR}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=time_zone_of(info.context))
    return moment.replace(microsecond=0).astimezone(UTC)


def _parse(value: Any, time_of_a_bare_date: time) -> datetime:
    text = value.upper()
    try:
        return datetime.combine(date.fromisoformat(text), time_of_a_bare_date)
    except ValueError:
        return datetime.fromisoformat(text)


def _one_of(names: type[Priority] | type[Status]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": [name.value for name in names]})


_TEXT = WithJsonSchema({"type": "string"})

TaskId = Annotated[
    int,
    Field(strict=True, ge=SMALLEST_ID, le=LARGEST_ID),
    BeforeValidator(_whole_number),
    # Without the maximum: clients in JavaScript would read another number.
    WithJsonSchema({"type": "integer", "minimum": SMALLEST_ID}),
]
Limit = Annotated[int, Field(strict=True, ge=1, le=LARGEST_LIMIT), BeforeValidator(_whole_number)]
Title = Annotated[str, Field(max_length=TITLE_CHARACTERS)]
Description = Annotated[str, Field(max_length=DESCRIPTION_CHARACTERS)]
SearchText = Annotated[str, Field(max_length=TITLE_CHARACTERS)]
PriorityName = Annotated[Priority, BeforeValidator(_lower), _one_of(Priority)]
StatusName = Annotated[Status, BeforeValidator(_lower), _one_of(Status)]
DueAt = Annotated[datetime, BeforeValidator(_due), _TEXT]
Clearable = Annotated[list[Literal["description", "due_at"]], BeforeValidator(_in_a_list)]
DueBefore = Annotated[datetime, BeforeValidator(_before), _TEXT]
