"""The statements that reach PostgreSQL, and the plans it makes for them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event


@contextmanager
def recorded(engine: Engine) -> Iterator[list[str]]:
    """Yield a list that grows by the statement, values included, of each round trip.

    A COMMIT counts. A ROLLBACK and a statement executed with many rows do not.
    """
    statements: list[str] = []

    def execute(_connection: Connection, cursor: Any, *_: Any) -> None:
        statements.append(cursor.query.decode())

    def commit(_connection: Connection) -> None:
        statements.append("COMMIT")

    listeners: dict[str, Callable[..., Any]] = {"commit": commit, "after_cursor_execute": execute}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield statements
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)


def plan(connection: Connection, statement: str) -> dict[str, Any]:
    """Return the root of the plan that EXPLAIN shows; the statement is not run."""
    explained = connection.exec_driver_sql("EXPLAIN (FORMAT JSON) " + statement.replace("%", "%%")).scalar_one()
    root: dict[str, Any] = (json.loads(explained) if isinstance(explained, str) else explained)[0]["Plan"]
    return root


def nodes(root: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a plan's nodes, the root first."""
    yield root
    for child in root.get("Plans", ()):
        yield from nodes(child)


def indexes(root: Mapping[str, Any]) -> set[str]:
    """Return the indexes that a plan walks."""
    return {node["Index Name"] for node in nodes(root) if "Index Name" in node}
