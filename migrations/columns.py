"""Column types and defaults that differ between the databases. Revisions rest on them: add here, never change."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeEngine


def identifier() -> TypeEngine[int]:
    """Return 64 bits; SQLite numbers rows by itself only in a column of its own type INTEGER."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def json() -> TypeEngine[Any]:
    """Return JSON, in the binary form where there is one."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def utc_now() -> sa.TextClause:
    """Return the database's clock at the statement; `now()` would be one value for a whole transaction."""
    if op.get_context().dialect.name == "sqlite":
        return sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')")
    return sa.text("clock_timestamp()")
