"""Deadlines for everything that a transaction waits for: connecting, locks, answers."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

CONNECT_TIMEOUT_SECONDS = 10
"""A sleeping Neon takes up to several seconds to wake."""
GRACE_SECONDS = 0.5
"""Extra time to wait for an answer after the server's own limit, so that the server can report its timeout."""
SHORTEST_LIMIT_SECONDS = 0.05


@dataclass(frozen=True)
class Deadline:
    """`end` is a time of `time.monotonic` after which nothing is waited for; `statement_seconds` bounds a statement."""

    end: float
    statement_seconds: float

    def seconds_left(self) -> float:
        """Return the seconds until `end`, 0 after it."""
        return max(0.0, self.end - time.monotonic())

    def server_seconds(self) -> float:
        """Return the longest that the server may work on a statement, or keep an idle transaction open."""
        return max(SHORTEST_LIMIT_SECONDS, min(self.statement_seconds, self.seconds_left() - GRACE_SECONDS))

    def answer_seconds(self) -> float:
        """Return the longest wait for the answer to a statement."""
        return min(self.statement_seconds + GRACE_SECONDS, self.seconds_left())

    def connect_seconds(self) -> float:
        """Return the longest wait for a connection."""
        return min(CONNECT_TIMEOUT_SECONDS, self.seconds_left())


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def current() -> Deadline | None:
    """Return the deadline of the running transaction, None outside of `keeping`."""
    return _current.get()


@contextmanager
def keeping(deadline: Deadline) -> Iterator[None]:
    """Make `deadline` the current one within the block."""
    token = _current.set(deadline)
    try:
        yield
    finally:
        _current.reset(token)
