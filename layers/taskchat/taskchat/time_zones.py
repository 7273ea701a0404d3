"""Time zones by IANA name or by offset from UTC."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
LONGEST_NAME_CHARACTERS = 64
_FILES_BESIDE_ZONES = ("localtime", "posixrules", "posix", "right")
"""Files of a system's zone database that are no zones of IANA's."""
_UTC_NAMES = ("", "Z", "UTC")
_OFFSET = re.compile(r"(?:UTC|GMT)?([+\-\N{MINUS SIGN}])(?:(\d{1,2})(?::([0-5]\d))?|(\d\d)([0-5]\d))", re.ASCII)
_LARGEST_OFFSET = timedelta(hours=14)
"""XML Schema part 2, section 3.2.7.3; the largest in use is +14:00, in Kiribati."""


def parse(text: str) -> tzinfo:
    """Return the time zone of a name such as `Europe/Berlin` or `UTC+02:00`, which `str()` of the result gives again.

    An empty text means UTC.

    Raises:
        ValueError: there is no such zone.
    """
    name = text.strip()
    if name.upper() in _UTC_NAMES:
        return UTC
    if offset := _OFFSET.fullmatch(name.upper()):
        return _fixed_offset(*offset.groups(default=""))
    if len(name) > LONGEST_NAME_CHARACTERS or not _NAME.fullmatch(name):
        raise ValueError("not the name of a time zone")
    if name.partition("/")[0] in _FILES_BESIDE_ZONES:
        raise ValueError("not the name of a time zone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        # OSError: the name is that of a folder of zones, such as Europe.
        raise ValueError("not the name of a time zone") from None


def _fixed_offset(sign: str, hours: str, minutes: str, two_digit_hours: str, two_digit_minutes: str) -> tzinfo:
    offset = timedelta(hours=int(hours or two_digit_hours), minutes=int(minutes or two_digit_minutes or 0))
    if offset > _LARGEST_OFFSET:
        raise ValueError("farther from UTC than any place")
    return timezone(offset if sign == "+" else -offset)
