"""Column types for PostgreSQL and SQLite."""

import enum
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Enum, ForeignKey, Integer
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine
from sqlmodel import Field

from taskchat.models.clock import UtcDateTime, utc_now

SMALLEST_ID = 1
LARGEST_ID = 2**63 - 1
TITLE_CHARACTERS = 200


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
