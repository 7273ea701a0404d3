"""When a task is due, in the zone of whoever says it."""

import pytest

from tests.support.tool_calls import Use


@pytest.mark.parametrize(
    ("zone", "said", "due_at"),
    [
        ("Europe/Berlin", "2026-01-15T09:00", "2026-01-15T09:00:00+01:00"),
        ("Europe/Berlin", "2026-07-15T09:00", "2026-07-15T09:00:00+02:00"),
        ("Europe/Berlin", "2026-07-15 09:00:30.999999", "2026-07-15T09:00:30+02:00"),
        ("Europe/Berlin", "2026-07-15t07:00:00z", "2026-07-15T09:00:00+02:00"),
        ("Europe/Berlin", "2026-07-15T09:00:00-04:00", "2026-07-15T15:00:00+02:00"),
        ("Europe/Berlin", " 2026-07-15 ", "2026-07-15T23:59:59+02:00"),
        ("Europe/Berlin", "20260715", "2026-07-15T23:59:59+02:00"),
        ("Europe/Berlin", "2026-W29-3", "2026-07-15T23:59:59+02:00"),
        ("UTC", "2026-07-15", "2026-07-15T23:59:59+00:00"),
        ("Asia/Kathmandu", "2026-07-15", "2026-07-15T23:59:59+05:45"),
        ("Pacific/Kiritimati", "1970-01-01T00:00", "1970-01-01T00:00:00-10:40"),
        ("Pacific/Kiritimati", "9998-12-31", "9998-12-31T23:59:59+14:00"),
        ("Etc/GMT+12", "9998-12-31", "9998-12-31T23:59:59-12:00"),
    ],
)
def test_times_are_local_and_dates_mean_the_end_of_day(use: Use, zone: str, said: str, due_at: str) -> None:
    assert use("create_task", title="x", due_at=said, zone=zone)["result"]["due_at"] == due_at


@pytest.mark.parametrize(
    ("said", "due_at"),
    [
        ("2026-03-29T01:59", "2026-03-29T01:59:00+01:00"),
        ("2026-03-29T02:30", "2026-03-29T03:30:00+02:00"),
        ("2026-03-29T03:00", "2026-03-29T03:00:00+02:00"),
        ("2026-10-25T02:30", "2026-10-25T02:30:00+02:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25T02:30:00+01:00"),
        ("2026-10-25T03:00", "2026-10-25T03:00:00+01:00"),
    ],
)
def test_the_hour_that_is_skipped_or_repeated_in_berlin(use: Use, said: str, due_at: str) -> None:
    assert use("create_task", title="x", due_at=said)["result"]["due_at"] == due_at


def test_a_day_that_begins_an_hour_late_still_begins(use: Use) -> None:
    created = use("create_task", title="x", due_at="2026-04-24T00:59:59", zone="Africa/Cairo")
    task_id = created["result"]["id"]
    before = use("list_tasks", due_before="2026-04-24", zone="Africa/Cairo")["result"]
    assert use("get_task", task_id=task_id, zone="Africa/Cairo")["result"]["due_at"] == "2026-04-24T01:59:59+03:00"
    assert before["count"] == 0


def test_the_same_instant_reads_as_every_caller_lives(use: Use) -> None:
    created = use("create_task", title="x", due_at="2026-07-15", zone="Europe/Berlin")
    task_id = created["result"]["id"]
    seen = [use("get_task", task_id=task_id, zone=zone)["result"]["due_at"] for zone in ("UTC", "Asia/Tokyo")]
    assert seen == ["2026-07-15T21:59:59+00:00", "2026-07-16T06:59:59+09:00"]
