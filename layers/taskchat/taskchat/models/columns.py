"""Column types, and the database's clock, for PostgreSQL and SQLite."""

import enum
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, DateTime, Dialect, Enum, Float, ForeignKey, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field

SMALLEST_ID = 1
LARGEST_ID = 2**63 - 1
TITLE_CHARACTERS = 200


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


@compiles(utc_now)
def _utc_now_on_postgres(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(utc_now, "sqlite")
def _utc_now_on_sqlite(_element: utc_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')"


@compiles(utc_in)
def _utc_in_on_postgres(element: utc_in, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(utc_in, "sqlite")
def _utc_in_on_sqlite(element: utc_in, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(strftime('%Y-%m-%d %H:%M:%f', 'now', ({seconds}) || ' seconds') || '000')"


def json_type() -> TypeEngine[Any]:
    """Return the type of a JSON column. None is stored as NULL."""
    return JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def id_column() -> Any:
    """Return a BIGINT primary key that the database counts up."""
    return Field(
        default=None,
        sa_column=Column("id", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True),
    )


def reference(target: str, *, ondelete: str = "CASCADE") -> Any:
    """Return a BIGINT foreign key to `target`. With `SET NULL`, the row stays when the row it refers to is deleted."""
    kind = BigInteger().with_variant(Integer(), "sqlite")
    return Field(
        default=None, sa_column=Column(kind, ForeignKey(target, ondelete=ondelete), nullable=ondelete == "SET NULL")
    )


def user_reference() -> Any:
    """Return a foreign key to the owner; the row is deleted with its owner."""
    return Field(sa_column=Column(ForeignKey("users.id", ondelete="CASCADE"), nullable=False))


def created_now() -> Any:
    """Return a column that the database sets to its clock on INSERT."""
    return Field(default=None, sa_column=Column(UtcDateTime, nullable=False, server_default=utc_now()))


def updated_now() -> Any:
    """Return a column that the database sets to its clock on INSERT and on every UPDATE."""
    return Field(
        default=None, sa_column=Column(UtcDateTime, nullable=False, server_default=utc_now(), onupdate=utc_now())
    )


def enum_type(kind: type[enum.StrEnum], constraint: str, length: int) -> Enum:
    """Return a text type that holds the enum's values only, by a CHECK constraint of that name."""
    return Enum(
        kind,
        name=constraint,
        length=length,
        native_enum=False,
        create_constraint=True,
        values_callable=lambda members: [member.value for member in members],
    )


SECONDS = Float()
"""The type of a bind parameter that is a number of seconds."""
