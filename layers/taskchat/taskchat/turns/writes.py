"""Several writes as one statement."""

from typing import Any

from sqlalchemy import CTE, ColumnClause, Connection, Row, literal, select
from sqlalchemy.sql.visitors import replacement_traverse


def write(connection: Connection, *writes: CTE, returning: CTE) -> Row[Any] | None:
    """Run data-modifying CTEs and return the row of one of them, or None if it wrote nothing.

    A write may read the rows of the writes before it. It is one statement on PostgreSQL. SQLite has no data-modifying
    CTEs, so the writes run one after another there, inside the same transaction.
    """
    if connection.dialect.name == "postgresql":
        return connection.execute(select(returning).add_cte(*writes)).one_or_none()
    rows: dict[CTE, Row[Any]] = {}
    for each in writes:
        row = connection.execute(_with_values(each.element, rows)).one_or_none()
        if row is None:
            return None
        rows[each] = row
    return rows[returning]


def _with_values(statement: Any, rows: dict[CTE, Row[Any]]) -> Any:
    """Return the statement with the values of earlier rows in place of their columns."""

    def value_of(element: Any, **_options: Any) -> Any:
        if isinstance(element, ColumnClause) and element.table in rows:
            return literal(getattr(rows[element.table], element.name), element.type)
        return None

    return replacement_traverse(statement, {}, value_of)
