"""The words for days and times, such as "tomorrow at 5pm", and the moments that they mean in a person's time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

END_OF_DAY = time(23, 59)
"""The time of a due date that names a day only."""

_NOW_LINE = re.compile(r"^Now: (?P<moment>\S+)(?: \((?P<zone>[^)]+)\))?.*$", re.MULTILINE)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIMES_OF_DAY = {
    "morning": time(9),
    "noon": time(12),
    "midday": time(12),
    "afternoon": time(15),
    "evening": time(19),
    "tonight": time(21),
    "night": time(21),
    "midnight": END_OF_DAY,
}

_MONTH = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    "|nov(?:ember)?|dec(?:ember)?"
)
_DAY = rf"""
    (?P<today>today) | (?P<tonight>tonight) | (?P<tomorrow>tomorrow)
    | (?P<part_today>this\ (?:morning|afternoon|evening))
    | (?P<next_week>next\ week) | (?P<end_of_week>(?:this|the\ end\ of\ the|end\ of)\ week)
    | in\ (?P<amount>an?|\d{{1,4}})\ (?P<unit>minute|hour|day|week)s?
    | (?P<which>next\ |this\ )?(?P<weekday>{"|".join(_WEEKDAYS)})
    | (?P<year>\d{{4}})-(?P<iso_month>\d\d)-(?P<iso_day>\d\d)
    | (?:the\ )?(?:(?P<month>{_MONTH})\.?\ (?P<day>\d{{1,2}})(?:st|nd|rd|th)?
    | (?P<day_first>\d{{1,2}})(?:st|nd|rd|th|\.)?\ (?:of\ )?(?P<month_second>{_MONTH})\b\.?)
"""
_CLOCK = r"""
    (?:(?:at|by|before|around)\ )?
    (?:(?P<hour{n}>\d{{1,2}})(?::(?P<minute{n}>\d\d))?\ ?(?P<half{n}>am|pm|a\.m\.|p\.m\.)
    | (?P<hour24{n}>[01]?\d|2[0-3]):(?P<minute24{n}>[0-5]\d)(?:\ ?h)?
    | (?P<named{n}>noon|midday|midnight)
    | (?:in\ the\ |at\ )?(?P<part{n}>morning|afternoon|evening|night))
"""
_WHEN = re.compile(
    rf"""(?:,?\ ?\b(?:due|until|by|on|for|before)\ (?:by\ |on\ )?)?\b
    (?:(?:{_CLOCK.format(n=1)}[,\ ]\ ?(?:on\ )?)?(?:{_DAY})(?:,?\ {_CLOCK.format(n=2)})?
    | (?:at|by|before)\ {_CLOCK.format(n=3)})\b\.?""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Clock:
    """The caller's present moment, in the caller's time zone."""

    now: datetime
    zone: tzinfo

    def at(self, day: date, moment: time = END_OF_DAY) -> datetime:
        """Return a local day and time as an aware datetime."""
        return datetime.combine(day, moment, tzinfo=self.zone)


def without_now(message: str) -> str:
    """Return the words of a message after its last line that tells the time, which the agent puts before them."""
    return _NOW_LINE.split(message)[-1].strip()


def read_clock(told: str) -> Clock:
    """Read the last line `Now: 2025-12-07T10:30+01:00 (Europe/Berlin), Sunday`; without one, it is now, in UTC."""
    lines = list(_NOW_LINE.finditer(told))
    line = lines[-1] if lines else None
    try:
        now = datetime.fromisoformat(line["moment"]) if line else datetime.now(UTC)
    except ValueError:
        now = datetime.now(UTC)
    if now.tzinfo is None:
        now = now.replace(tzinfo=UTC)
    zone: tzinfo = now.tzinfo or UTC
    if line and line["zone"]:
        try:
            zone = ZoneInfo(line["zone"])
        except (ValueError, KeyError, OSError):  # The zone is unknown on this machine, so use the offset of the line.
            return Clock(now, zone)
    return Clock(now.astimezone(zone), zone)


def take_when(text: str, clock: Clock) -> tuple[str, datetime | None]:
    """Split a due date off the start or the end of a text; the middle is left alone, it belongs to a title."""
    for found in _WHEN.finditer(text):
        at_an_end = not text[: found.start()].strip(" ,") or not text[found.end() :].strip(" ,.!?")
        moment = _moment(found, clock) if at_an_end else None
        if moment is not None:
            return f"{text[: found.start()]} {text[found.end() :]}".strip(" ,"), moment
    return text, None


def read_when(text: str, clock: Clock) -> datetime | None:
    """Return the date that a text consists of, or nothing when it is not one."""
    rest, moment = take_when(text.strip(" .!?"), clock)
    return moment if not rest else None


def _moment(found: re.Match[str], clock: Clock) -> datetime | None:
    unit = (found["unit"] or "").lower()
    if unit in {"minute", "hour"}:
        return (clock.now + timedelta(minutes=_amount(found) * (60 if unit == "hour" else 1))).replace(microsecond=0)
    try:
        moment = _time(found)
        day = _day(found, clock)
    except (ValueError, OverflowError):  # Such as 31 February or 13pm: not a date, so part of the title.
        return None
    if day is None:
        if moment is None:
            return None
        today = clock.at(clock.now.date(), moment)
        return today if today > clock.now else clock.at(clock.now.date() + timedelta(days=1), moment)
    return clock.at(day, moment or END_OF_DAY)


def _day(found: re.Match[str], clock: Clock) -> date | None:
    today = clock.now.date()
    day: date | None = None
    if found["today"] or found["tonight"] or found["part_today"]:
        day = today
    elif found["tomorrow"]:
        day = today + timedelta(days=1)
    elif found["next_week"]:
        day = today + timedelta(days=7 - today.weekday())
    elif found["end_of_week"]:
        day = today + timedelta(days=6 - today.weekday())
    elif found["amount"]:
        day = today + timedelta(days=_amount(found) * (7 if found["unit"].lower() == "week" else 1))
    elif found["weekday"]:
        day = _weekday(_WEEKDAYS.index(found["weekday"].lower()), found["which"] or "", today)
    elif found["year"]:
        day = date(int(found["year"]), int(found["iso_month"]), int(found["iso_day"]))
    elif found["month"] or found["month_second"]:
        day = _calendar_day(found, today)
    return day


def _amount(found: re.Match[str]) -> int:
    return 1 if found["amount"].lower().startswith("a") else int(found["amount"])


def _calendar_day(found: re.Match[str], today: date) -> date:
    month = _MONTHS.index((found["month"] or found["month_second"])[:3].lower()) + 1
    day = date(today.year, month, int(found["day"] or found["day_first"]))
    return day if day >= today else day.replace(year=day.year + 1)


def _weekday(weekday: int, which: str, today: date) -> date:
    """Return the coming such day, never today; "next" means the one of the week that starts on Monday."""
    if which.strip().lower() == "next":
        return today + timedelta(days=7 - today.weekday() + weekday)
    return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def _time(found: re.Match[str]) -> time | None:
    for number in "123":
        if found[f"hour{number}"]:
            hour = int(found[f"hour{number}"])
            if not 1 <= hour <= 12:
                raise ValueError(hour)
            afternoon = found[f"half{number}"].lower().startswith("p")
            return time(hour % 12 + (12 if afternoon else 0), int(found[f"minute{number}"] or 0))
        if found[f"hour24{number}"]:
            return time(int(found[f"hour24{number}"]), int(found[f"minute24{number}"]))
        name = found[f"named{number}"] or found[f"part{number}"]
        if name:
            return _TIMES_OF_DAY[name.lower()]
    if found["tonight"]:
        return _TIMES_OF_DAY["tonight"]
    if found["part_today"]:
        return _TIMES_OF_DAY[found["part_today"].lower().removeprefix("this ")]
    return None
