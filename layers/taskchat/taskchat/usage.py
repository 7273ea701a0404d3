"""Usage of one person and its limits: tokens a day, turns a minute, and turns in flight.

A day is a day in UTC, by the database's clock. A turn counts on the day on which it began. Calls of clients are turns,
too (`taskchat.audit`). A turn that is continued or replayed is not counted again, and never refused.

Turns are counted exactly, because every turn begins with a lock on the person's row (`conversations.lock_person`).
Tokens are counted after each call of the model, so turns in flight may exceed the limit.
"""

import enum
import math
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, and_, bindparam, cast, func, literal, select

from taskchat.errors import UsageLimitReachedError
from taskchat.limits import Limits
from taskchat.models import IN_FLIGHT, SECONDS, TURNS, utc_day, utc_in, utc_now

MINUTE_SECONDS = 60.0
RETRY_AFTER_IN_FLIGHT_SECONDS = 5
_DAY = timedelta(days=1)


class Limit(enum.StrEnum):
    """The limits by the names that problems use."""

    TOKENS_PER_DAY = "tokens-per-day"
    TURNS_PER_MINUTE = "turns-per-minute"
    TURNS_IN_FLIGHT = "turns-in-flight"


_OWN = TURNS.c.user_id == bindparam("limited_user", type_=TURNS.c.user_id.type)
# As subqueries the times are computed once, and an index finds the turns after them.
_TODAY = TURNS.c.created_at >= select(utc_day()).scalar_subquery()
_THIS_MINUTE = TURNS.c.created_at > select(utc_in(literal(-MINUTE_SECONDS, SECONDS))).scalar_subquery()


def _total(name: str) -> ColumnElement[int]:
    return cast(func.coalesce(func.sum(TURNS.c[name]), 0), BigInteger)


_TOKENS_TODAY = select(_total("input_tokens") + _total("output_tokens")).where(_OWN, _TODAY).scalar_subquery()
_TURNS_THIS_MINUTE = select(func.count()).select_from(TURNS).where(_OWN, _THIS_MINUTE).scalar_subquery()
_TURNS_IN_FLIGHT = select(func.count()).select_from(TURNS).where(_OWN, TURNS.c.status.in_(IN_FLIGHT)).scalar_subquery()

HAS_ROOM = and_(
    bindparam("tokens_per_day", type_=BigInteger) > _TOKENS_TODAY,
    bindparam("turns_per_minute", type_=BigInteger) > _TURNS_THIS_MINUTE,
    bindparam("turns_in_flight", type_=BigInteger) > _TURNS_IN_FLIGHT,
)
"""A condition that holds while the person may begin a turn; `limit_values` gives its bind parameters."""


def limit_values(user_id: uuid.UUID, limits: Limits) -> dict[str, Any]:
    """Return the bind parameters of `HAS_ROOM`."""
    return {
        "limited_user": user_id,
        "tokens_per_day": limits.tokens_per_day,
        "turns_per_minute": limits.turns_per_minute,
        "turns_in_flight": limits.turns_in_flight,
    }


@dataclass(frozen=True)
class UsageRecord:
    """A person's usage of the period, which is a day in UTC, and at this moment, beside the limits.

    Cached tokens are part of the input, and reasoning tokens of the output.
    """

    period_started_at: datetime
    resets_at: datetime
    turns: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int
    turns_in_minute: int
    turns_in_flight: int
    limits: Limits
    minute_ends_in_seconds: float
    day_ends_in_seconds: float

    @property
    def tokens(self) -> int:
        """The tokens that count for the limit."""
        return self.input_tokens + self.output_tokens


_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_DAY_TOTALS = (
    select(func.count().label("turns"), *(_total(name).label(name) for name in _TOKENS)).where(_OWN, _TODAY).subquery()
)
_USAGE = select(
    utc_now().label("now"),
    utc_day().label("day"),
    select(func.min(TURNS.c.created_at)).where(_OWN, _THIS_MINUTE).scalar_subquery().label("minute_began_at"),
    _TURNS_THIS_MINUTE.label("turns_in_minute"),
    _TURNS_IN_FLIGHT.label("turns_in_flight"),
    *_DAY_TOTALS.c,
)


def usage(connection: Connection, user_id: uuid.UUID, limits: Limits) -> UsageRecord:
    """Return the person's usage today and at this moment, beside the limits."""
    row = connection.execute(_USAGE, {"limited_user": user_id}).one()
    return UsageRecord(
        period_started_at=row.day,
        resets_at=row.day + _DAY,
        turns=row.turns,
        **{name: getattr(row, name) for name in _TOKENS},
        turns_in_minute=row.turns_in_minute,
        turns_in_flight=row.turns_in_flight,
        limits=limits,
        minute_ends_in_seconds=_seconds_until(row.minute_began_at, row.now),
        day_ends_in_seconds=(row.day + _DAY - row.now).total_seconds(),
    )


def require_room(connection: Connection, user_id: uuid.UUID, limits: Limits) -> None:
    """Refuse another turn of a person who has reached a limit. The caller holds the lock on the person's row.

    Raises:
        UsageLimitReachedError: names the limit, its maximum, and when there is room again.
    """
    used = usage(connection, user_id, limits)
    if used.tokens >= limits.tokens_per_day:
        raise UsageLimitReachedError(
            f"You have used today's {limits.tokens_per_day:,} tokens. The limit is reset at midnight UTC.",
            limit=Limit.TOKENS_PER_DAY,
            maximum=limits.tokens_per_day,
            used=used.tokens,
            resets_at=used.resets_at,
            retry_after_seconds=math.ceil(used.day_ends_in_seconds),
        )
    if used.turns_in_minute >= limits.turns_per_minute:
        raise UsageLimitReachedError(
            f"The limit is {limits.turns_per_minute} requests a minute. Wait before you send another.",
            limit=Limit.TURNS_PER_MINUTE,
            maximum=limits.turns_per_minute,
            used=used.turns_in_minute,
            resets_at=None,
            retry_after_seconds=math.ceil(used.minute_ends_in_seconds),
        )
    if used.turns_in_flight >= limits.turns_in_flight:
        raise UsageLimitReachedError(
            f"Too many of your requests are being answered at once. The limit is {limits.turns_in_flight}.",
            limit=Limit.TURNS_IN_FLIGHT,
            maximum=limits.turns_in_flight,
            used=used.turns_in_flight,
            resets_at=None,
            retry_after_seconds=RETRY_AFTER_IN_FLIGHT_SECONDS,
        )


def _seconds_until(began_at: datetime | None, now: datetime) -> float:
    """Return the time until the oldest turn of the last minute no longer counts."""
    return 0.0 if began_at is None else MINUTE_SECONDS - (now - began_at).total_seconds()
