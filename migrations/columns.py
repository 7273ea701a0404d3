"""Column types and defaults that differ between the databases. Revisions use them, so add here and never change."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine


def identifier() -> TypeEngine[int]:
    """Return a type of 64 bits. SQLite assigns ids by itself only to a column of type INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def json() -> TypeEngine[Any]:
    """Return JSON, on PostgreSQL in its binary form."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def utc_now() -> sa.TextClause:
    """Return the database's clock at the time of the statement. `now()` stays the same for a whole transaction."""
    if op.get_context().dialect.name == "sqlite":
        return sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')")
    return sa.text("clock_timestamp()")
