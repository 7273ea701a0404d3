"""The building blocks of requests: what a text, an id and a time zone may be."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from taskchat.text import is_storable

_TIME_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_LONGEST_TIME_ZONE_CHARACTERS = 64
_OF_THE_MACHINE = ("localtime", "posixrules", "posix", "right")
"""Files that stand beside the zones, but are none of IANA's."""
_UNKNOWN_TIME_ZONE = PydanticCustomError("time_zone", "Give the name of an IANA time zone, such as Europe/Berlin")


def _check_storable(text: str) -> str:
    if not is_storable(text):
        raise PydanticCustomError("storable", "NUL characters cannot be stored")
    return text


def _time_zone(name: object) -> ZoneInfo:
    if not isinstance(name, str) or len(name) > _LONGEST_TIME_ZONE_CHARACTERS or not _TIME_ZONE.fullmatch(name):
        raise _UNKNOWN_TIME_ZONE
    if name.partition("/")[0] in _OF_THE_MACHINE:
        raise _UNKNOWN_TIME_ZONE
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # OSError: the name is that of a folder of zones, such as Europe.
        raise _UNKNOWN_TIME_ZONE from None


Id = Annotated[int, Field(ge=1, le=2**63 - 1)]
"""The id of a row: a BIGINT."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_check_storable)]
"""Words of a person, trimmed; add a `max_length`, which counts characters after trimming."""
TimeZone = Annotated[ZoneInfo, BeforeValidator(_time_zone)]
"""A zone by its IANA name."""


class Body(BaseModel):
    """A request's body: no field that it does not know, and no guessing at types."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
