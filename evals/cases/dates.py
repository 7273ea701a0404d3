"""Dates and time zones: relative days, midnight, and the changes of the clock."""

from evals.case import Category, EvalCase, Seed
from evals.checks import Want, says, says_not, tasks, unchanged


def _due(
    name: str,
    message: str,
    due: str | None,
    *,
    now: str = "2026-11-25T10:30",
    zone: str = "Europe/Berlin",
    offline: bool = True,
    title: str = "",
) -> EvalCase:
    wants = tasks(Want(title or "mom", due=due))
    return EvalCase(name, Category.DATES, (message,), (wants,), now=now, time_zone=zone, is_offline=offline)


_CALL = "Add a task to call mom"
CASES = (
    _due("tomorrow", f"{_CALL} tomorrow", "2026-11-26"),
    _due("today", f"{_CALL} today", "2026-11-25"),
    _due("a time today", f"{_CALL} today at 18:00", "2026-11-25T18:00"),
    _due("five in the afternoon", f"{_CALL} tomorrow at 5pm", "2026-11-26T17:00"),
    _due("a weekday", f"{_CALL} on Friday", "2026-11-27"),
    _due("the same weekday", f"{_CALL} next Wednesday", "2026-12-02", offline=False),
    _due("in three days", f"{_CALL} in three days", "2026-11-28", offline=False),
    _due("in two hours", f"{_CALL} in two hours", "2026-11-25T12:30", offline=False),
    _due("a date", f"{_CALL} on 2026-12-24", "2026-12-24"),
    _due("a date in words", f"{_CALL} on December 24", "2026-12-24", offline=False),
    _due("a date of next year", f"{_CALL} on January 3rd", "2027-01-03", offline=False),
    _due("the end of the month", f"{_CALL} by the end of the month", "2026-11-30", offline=False),
    _due("a leap day", f"{_CALL} on 29 February", "2028-02-29", now="2028-01-10T09:00", offline=False),
    _due("the last minute of a day", f"{_CALL} tomorrow", "2026-11-26", now="2026-11-25T23:59"),
    _due("the first minute of a day", f"{_CALL} tomorrow", "2026-11-27", now="2026-11-26T00:01"),
    _due(
        "tomorrow in Tokyo", f"{_CALL} tomorrow at 9am", "2026-11-27T09:00", now="2026-11-26T08:00", zone="Asia/Tokyo"
    ),
    _due(
        "tonight in Honolulu",
        f"{_CALL} today at 11pm",
        "2026-11-25T23:00",
        now="2026-11-25T20:30",
        zone="Pacific/Honolulu",
    ),
    _due("tomorrow in Auckland", f"{_CALL} tomorrow", "2026-11-26", now="2026-11-25T00:30", zone="Pacific/Auckland"),
    _due("a quarter of an hour off", f"{_CALL} tomorrow at 6am", "2026-11-26T06:00", zone="Asia/Kathmandu"),
    _due("before the clock goes forward", f"{_CALL} tomorrow at 9am", "2026-03-29T09:00", now="2026-03-28T22:00"),
    _due("before the clock goes back", f"{_CALL} tomorrow at 9am", "2026-10-25T09:00", now="2026-10-24T22:00"),
    _due(
        "across the clock change in New York",
        f"{_CALL} on Monday at 8am",
        "2026-03-09T08:00",
        now="2026-03-06T12:00",
        zone="America/New_York",
    ),
    _due("the last day of a year", f"{_CALL} tomorrow", "2027-01-01", now="2026-12-31T18:00"),
    _due("no date", _CALL, None),
    EvalCase(
        "due today",
        Category.DATES,
        ("What do I have to do today?",),
        (unchanged, says("rent"), says_not("passport")),
        (Seed("Pay rent", due="2026-11-25T18:00"), Seed("Renew passport", due="2026-11-28")),
        is_offline=True,
    ),
    EvalCase(
        "today with undated tasks",
        Category.DATES,
        ("What do I have to do today?",),
        (unchanged, says("piano"), says_not("nothing to do", "no tasks?\\b")),
        (Seed("Tune the piano"),),
        is_offline=True,
    ),
    EvalCase(
        "overdue",
        Category.DATES,
        ("Which tasks are overdue?",),
        (unchanged, says("rent"), says_not("passport")),
        (Seed("Pay rent", due="2026-11-24"), Seed("Renew passport", due="2026-11-28")),
        is_offline=True,
    ),
    EvalCase(
        "a day later than it was",
        Category.DATES,
        ("Move the passport task one day later",),
        (tasks(Want("passport", due="2026-11-29")),),
        (Seed("Renew passport", due="2026-11-28"),),
    ),
    EvalCase(
        "keep the day, change the time",
        Category.DATES,
        ("The call with mom is at 6 pm instead",),
        (tasks(Want("mom", due="2026-11-27T18:00")),),
        (Seed("Call mom", due="2026-11-27T17:00"),),
    ),
    EvalCase(
        "due before a day",
        Category.DATES,
        ("What is due before Friday?",),
        (unchanged, says("rent"), says_not("passport")),
        (Seed("Pay rent", due="2026-11-26"), Seed("Renew passport", due="2026-11-28")),
    ),
)
