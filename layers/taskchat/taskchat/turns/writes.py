"""Several writes as one statement."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CTE, ColumnClause, Connection, FromClause, Row, literal, select
from sqlalchemy.sql.visitors import replacement_traverse


class Writes:
    """Data-modifying CTEs that run together, built once. Each may read the row of the ones before it.

    They are one statement on PostgreSQL. SQLite has no data-modifying CTEs, so they run one after another there, inside
    the same transaction.
    """

    def __init__(self, *writes: CTE) -> None:
        self._writes = writes
        self._statement = select(writes[-1].c.id).add_cte(*writes)

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int | None:
        """Run the writes with these values of their bind parameters.

        Return the id that the last write returns, or None if the writes matched no row.
        """
        if connection.dialect.name == "postgresql":
            return connection.execute(self._statement, values).scalar_one_or_none()
        rows: dict[FromClause, Row[Any]] = {}
        for write in self._writes:
            row = connection.execute(_with_values(write.element, rows), values).one_or_none()
            if row is None:
                return None
            rows[write] = row
        return int(rows[self._writes[-1]].id)


def _with_values(statement: Any, rows: Mapping[FromClause, Row[Any]]) -> Any:
    """Return the statement with the values of earlier rows in place of their columns."""

    def value_of(element: Any, **_options: Any) -> Any:
        if isinstance(element, ColumnClause) and element.table is not None and element.table in rows:
            return literal(getattr(rows[element.table], element.name), element.type)
        return None

    return replacement_traverse(statement, {}, value_of)
