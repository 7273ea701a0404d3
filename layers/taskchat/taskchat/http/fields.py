"""Types that requests are made of: texts, ids and time zones."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from taskchat.text import is_storable

_ZONE_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_LONGEST_ZONE_NAME_CHARACTERS = 64
_FILES_BESIDE_ZONES = ("localtime", "posixrules", "posix", "right")
"""Files of a system's zone database that are no zones of IANA's."""
_UTC_NAMES = ("", "Z", "UTC")
_OFFSET = re.compile(r"(?:UTC|GMT)?([+\-\N{MINUS SIGN}])(?:(\d{1,2})(?::([0-5]\d))?|(\d\d)([0-5]\d))", re.ASCII)
_LARGEST_OFFSET = timedelta(hours=14)
"""XML Schema part 2, section 3.2.7.3; the largest in use is +14:00, in Kiribati."""
_UNKNOWN_TIME_ZONE = PydanticCustomError(
    "time_zone", "Give the name of an IANA time zone, such as Europe/Berlin, or an offset, such as +02:00"
)


def _check_storable(text: str) -> str:
    if not is_storable(text):
        raise PydanticCustomError("storable", "NUL characters and lone surrogates cannot be stored")
    return text


def _time_zone(value: object) -> tzinfo:
    if isinstance(value, tzinfo):
        return value
    if value is not None and not isinstance(value, str):
        raise _UNKNOWN_TIME_ZONE
    name = (value or "").strip()
    if name.upper() in _UTC_NAMES:
        return UTC
    if offset := _OFFSET.fullmatch(name.upper()):
        return _fixed_offset(*offset.groups(default=""))
    return _named_zone(name)


def _fixed_offset(sign: str, hours: str, minutes: str, two_digit_hours: str, two_digit_minutes: str) -> tzinfo:
    offset = timedelta(hours=int(hours or two_digit_hours), minutes=int(minutes or two_digit_minutes or 0))
    if offset > _LARGEST_OFFSET:
        raise _UNKNOWN_TIME_ZONE
    return timezone(offset if sign == "+" else -offset)


def _named_zone(name: str) -> ZoneInfo:
    if len(name) > _LONGEST_ZONE_NAME_CHARACTERS or not _ZONE_NAME.fullmatch(name):
        raise _UNKNOWN_TIME_ZONE
    if name.partition("/")[0] in _FILES_BESIDE_ZONES:
        raise _UNKNOWN_TIME_ZONE
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name is that of a folder of zones, such as Europe.
        raise _UNKNOWN_TIME_ZONE from None


Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""Id of a row, a BIGINT."""
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
