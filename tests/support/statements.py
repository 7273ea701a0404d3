"""The statements that reach PostgreSQL, and the plans it makes for them."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from psycopg2 import extensions
from sqlalchemy import Connection, Engine, event


@contextmanager
def recorded(engine: Engine) -> Iterator[list[list[str]]]:
    """Yield a list that grows by a message, a list of statements with their values, with each round trip.

    That is each of what SQLAlchemy executes singly, and each COMMIT; not a ROLLBACK, nor many rows at once.
    """
    messages: list[list[str]] = []
    waiting: list[str] = []

    def execute(_connection: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if cursor.query is None:
            waiting.append(cursor.mogrify(statement, parameters).decode())
            return
        message = cursor.query.decode()
        opening = ["BEGIN"] if message.startswith("BEGIN; ") else []
        before = [*opening, *waiting]
        messages.append([*before, message.removeprefix("".join(f"{statement}; " for statement in before))])
        waiting.clear()

    def commit(connection: Connection) -> None:
        # A message that is a transaction by itself has been committed with it.
        if waiting or not is_idle(connection.connection.dbapi_connection):
            messages.append([*waiting, "COMMIT"])
            waiting.clear()

    listeners: dict[str, Callable[..., Any]] = {"commit": commit, "after_cursor_execute": execute}
    for name, listener in listeners.items():
        event.listen(engine, name, listener)
    try:
        yield messages
    finally:
        for name, listener in listeners.items():
            event.remove(engine, name, listener)


def is_idle(dbapi_connection: Any) -> bool:
    """Tell whether PostgreSQL has no transaction open on this connection."""
    return bool(dbapi_connection.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE)


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
