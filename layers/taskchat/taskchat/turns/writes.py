"""Several writes as one statement, and the writes that several transitions share."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnClause,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    bindparam,
    insert,
    literal,
    select,
)
from sqlalchemy.sql.visitors import replacement_traverse

from taskchat.models import MESSAGES, SECONDS, TURNS, Role, utc_in

LEASE = {
    "lease_token": bindparam("new_token", type_=TURNS.c.lease_token.type),
    "lease_expires_at": utc_in(bindparam("lease_seconds", type_=SECONDS)),
}
"""The columns of a new lease; `new_token` and `lease_seconds` are their bind parameters."""


class Writes:
    """Data-modifying CTEs that run together, built once. Each may read the row of the ones before it.

    They are one statement on PostgreSQL. SQLite has no data-modifying CTEs, so they run one after another there, inside
    the same transaction. A version of each transition for SQLite alone could differ from the one that production runs.
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


def message_of(turn: CTE, role: Role) -> CTE:
    """Return an INSERT of one message of the turn that `turn` wrote; `message_values` gives its bind parameters."""
    row: dict[str, ColumnElement[Any]] = {
        "conversation_id": turn.c.conversation_id,
        "turn_id": turn.c.id,
        "role": literal(role, MESSAGES.c.role.type),
    }
    for column in (MESSAGES.c.content, MESSAGES.c.tool_calls, MESSAGES.c.model_context):
        row[column.name] = bindparam(f"message_{column.name}", type_=column.type)
    return (
        insert(MESSAGES)
        .from_select(list(row), select(*row.values()), include_defaults=False)
        .returning(MESSAGES.c.id)
        .cte("message")
    )


def message_values(
    content: str, tool_calls: Sequence[Mapping[str, Any]] | None, model_context: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the bind parameters of `message_of`."""
    return {"message_content": content, "message_tool_calls": tool_calls, "message_model_context": model_context}
