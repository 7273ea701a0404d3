"""Deadlines: each wait is as long as its own limit allows, and ends with the transaction's time."""

import time
from contextlib import suppress

import pytest

from taskchat.database import deadlines
from taskchat.database.deadlines import Deadline
from taskchat.database.postgres import longest_wait_seconds


def deadline(seconds_left: float, statement_seconds: float = 8.0) -> Deadline:
    return Deadline(time.monotonic() + seconds_left, statement_seconds)


@pytest.mark.parametrize(
    ("seconds_left", "connect", "answer", "server"),
    [
        (60.0, 10.0, 8.5, 8.0),
        (9.0, 9.0, 8.5, 8.0),
        (4.0, 4.0, 4.0, 3.5),
        (0.2, 0.2, 0.2, 0.05),
        (-5.0, 0.0, 0.0, 0.05),
    ],
)
def test_waits_fit_into_the_time_left(seconds_left: float, connect: float, answer: float, server: float) -> None:
    limits = deadline(seconds_left)

    assert limits.seconds_left() == pytest.approx(max(0.0, seconds_left), abs=0.1)
    assert limits.connect_seconds() == pytest.approx(connect, abs=0.1)
    assert limits.answer_seconds() == pytest.approx(answer, abs=0.1)
    assert limits.server_seconds() == pytest.approx(server, abs=0.1)
    assert limits.server_seconds() >= 0.05


def test_a_deadline_is_current_within_its_block() -> None:
    outer, inner = deadline(20), deadline(10)

    with deadlines.keeping(outer):
        with suppress(LookupError), deadlines.keeping(inner):
            assert deadlines.current() is inner
            raise LookupError
        assert deadlines.current() is outer
    assert deadlines.current() is None


def test_connecting_has_a_limit_of_its_own() -> None:
    with deadlines.keeping(deadline(60.0, statement_seconds=1.0)):
        assert longest_wait_seconds(is_new=True) == 10
        assert longest_wait_seconds(is_new=False) == 1.5


def test_other_connections_wait_for_their_statements() -> None:
    assert longest_wait_seconds(is_new=True) == 10
    assert longest_wait_seconds(is_new=False) is None
