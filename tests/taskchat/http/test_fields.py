"""Time zones as clients write them."""

from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from pydantic import TypeAdapter, ValidationError

from taskchat.http import TimeZone

ADAPTER: TypeAdapter[tzinfo] = TypeAdapter(TimeZone)
SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "name", "hours"),
    [
        (None, "UTC", 0),
        ("", "UTC", 0),
        (" \t", "UTC", 0),
        ("UTC", "UTC", 0),
        ("utc", "UTC", 0),
        ("Z", "UTC", 0),
        ("+00:00", "UTC", 0),
        ("-00:00", "UTC", 0),
        ("+02:00", "UTC+02:00", 2),
        ("+0200", "UTC+02:00", 2),
        ("+02", "UTC+02:00", 2),
        ("+2", "UTC+02:00", 2),
        (" +02:00 ", "UTC+02:00", 2),
        ("UTC+2", "UTC+02:00", 2),
        ("utc+02:00", "UTC+02:00", 2),
        ("GMT-0330", "UTC-03:30", -3.5),
        ("\N{MINUS SIGN}03:30", "UTC-03:30", -3.5),
        ("+05:45", "UTC+05:45", 5.75),
        ("+14:00", "UTC+14:00", 14),
        ("-12:00", "UTC-12:00", -12),
        ("Europe/Berlin", "Europe/Berlin", 2),
        (" Europe/Berlin", "Europe/Berlin", 2),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires", -3),
        ("Etc/GMT-2", "Etc/GMT-2", 2),
        ("GMT", "GMT", 0),
        ("EST5EDT", "EST5EDT", -4),
    ],
)
def test_a_time_zone_has_many_forms(value: str | None, name: str, hours: float) -> None:
    zone = ADAPTER.validate_python(value)
    assert (str(zone), SUMMER.astimezone(zone).utcoffset()) == (name, timedelta(hours=hours))


@pytest.mark.parametrize(
    "value",
    [
        "+14:01", "-25:00", "+99", "+02:60", "+02:0", "+020", "+02:00:00", "+-2", "2", "02:00", "+", "UTC+", "Z+1",
        "+\N{ARABIC-INDIC DIGIT TWO}",
        "Mars/Olympus", "Europe", "Europe/", "../UTC", "localtime", "right/UTC", "x" * 65,
        "a\x00", "\ud800", 2, 2.0, True, [], {},
    ],
)  # fmt: skip
def test_any_other_time_zone_is_refused(value: object) -> None:
    with pytest.raises(ValidationError, match="IANA time zone"):
        ADAPTER.validate_python(value)


def test_a_time_zone_has_a_json_schema() -> None:
    assert ADAPTER.json_schema()["anyOf"] == [{"type": "string"}, {"type": "null"}]
