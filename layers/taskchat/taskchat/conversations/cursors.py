"""Cursors of lists in an order by time and id."""

from dataclasses import dataclass
from datetime import datetime

from taskchat import cursors


@dataclass(frozen=True, slots=True)
class Position:
    """A position in an order by time and id; `moment` is aware, to the microsecond."""

    moment: datetime
    id: int


def encode(position: Position, scope: str) -> str:
    """Return the cursor of a position in the list that `scope` names."""
    return cursors.encode((cursors.microseconds(position.moment), position.id), scope)


def decode(cursor: str, scope: str) -> Position:
    """Return the position that `encode` got with the same `scope`.

    Raises:
        InvalidRequestError: the cursor was not made here, was edited, or belongs to another list.
    """
    microseconds, row_id = cursors.decode(cursor, scope, 2)
    return Position(cursors.moment(microseconds), row_id)
