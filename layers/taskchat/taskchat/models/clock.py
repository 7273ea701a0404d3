"""Times by the database's clock, on PostgreSQL and SQLite."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

SECONDS = Float()
"""The type of a bind parameter that is a number of seconds."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in UTC. SQLite stores no time zone, so the zone is dropped there and added on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC.

        Raises:
            ValueError: the value has no time zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a time zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return the instant, aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class utc_now(FunctionElement[datetime]):  # noqa: N801 - a SQL function, named as one
    """The database's clock when the statement runs. PostgreSQL's `now()` is fixed for a whole transaction."""

    type = UtcDateTime()
    inherit_cache = True


class utc_in(FunctionElement[datetime]):  # noqa: N801 - a SQL function, named as one
    """The database's clock plus a number of seconds, which is the only argument."""

    type = UtcDateTime()
    inherit_cache = True


class utc_day(FunctionElement[datetime]):  # noqa: N801 - a SQL function, named as one
    """The beginning of the present day in UTC, by the database's clock."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(utc_now)
def _utc_now_on_postgres(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(utc_now, "sqlite")
def _utc_now_on_sqlite(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(utc_day)
def _utc_day_on_postgres(_element: utc_day, _compiler: SQLCompiler, **_options: Any) -> str:
    return "date_trunc('day', clock_timestamp(), 'UTC')"


@compiles(utc_day, "sqlite")
def _utc_day_on_sqlite(_element: utc_day, _compiler: SQLCompiler, **_options: Any) -> str:
    return "strftime('%Y-%m-%d 00:00:00.000000', 'now')"


@compiles(utc_in)
def _utc_in_on_postgres(element: utc_in, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(utc_in, "sqlite")
def _utc_in_on_sqlite(element: utc_in, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', ({seconds}) || ' seconds') || '000')"
