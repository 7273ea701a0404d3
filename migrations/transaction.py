"""The transaction of a migration, for the migrate function and for the `alembic` command."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import OperationalError

from taskchat.database import CONNECT_TIMEOUT_SECONDS, redact_errors

ADVISORY_LOCK = 8_241_530_771_906
"""A migration holds this advisory lock. The number is arbitrary: advisory locks are local to a database."""


@dataclass(frozen=True)
class Limits:
    """The longest waits of a migration, in seconds."""

    turn_seconds: float = 60.0
    """Wait for another migration to end."""
    lock_seconds: float = 10.0
    """Wait for the lock on a table. All later queries of that table queue behind this wait."""
    statement_seconds: float = 300.0
    """Duration of a statement, and of an idle moment between two, as in a function that was frozen."""

    def within(self, seconds: float) -> "Limits":
        """Return limits that fit into `seconds`, so that the migration can end by itself and report why."""
        return Limits(
            turn_seconds=min(self.turn_seconds, max(0.1, seconds / 2)),
            lock_seconds=min(self.lock_seconds, max(0.1, seconds / 2)),
            statement_seconds=min(self.statement_seconds, max(0.1, seconds)),
        )


@contextmanager
def migration_transaction(url: URL, limits: Limits, *, changes: bool = True) -> Iterator[Connection]:
    """Open a connection and a transaction, yield the connection, and commit. Roll back if the block raises.

    With `changes`, wait first for other migrations to end, so that this one sees their result. Without, the database
    refuses every change.

    Raises:
        OperationalError: the database cannot be reached, or a limit was exceeded.
    """
    engine = _create_engine(url, limits, changes=changes)
    try:
        with _connect(engine) as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                _bound(connection, limits, changes=changes)
            yield connection
    finally:
        engine.dispose()


def _create_engine(url: URL, limits: Limits, *, changes: bool) -> Engine:
    options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
    if url.get_backend_name() != "sqlite":
        # A migration that waited for the lock has to see what was committed meanwhile.
        options["isolation_level"] = "READ COMMITTED"
        connect_args = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "client_encoding": "UTF8"}
        engine = create_engine(url, connect_args=connect_args, **options)
        redact_errors(engine)
        return engine
    engine = create_engine(url, connect_args={"timeout": limits.turn_seconds}, **options)

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        # Alembic drops and recreates tables to alter them, which would delete the rows that refer to theirs.
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(f"PRAGMA query_only = {'OFF' if changes else 'ON'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if changes else "BEGIN")

    return engine


def _connect(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except OperationalError:
        # A sleeping Neon may fail its first caller.
        return engine.connect()


def _bound(connection: Connection, limits: Limits, *, changes: bool) -> None:
    if not changes:
        connection.execute(text("SET TRANSACTION READ ONLY"))
    _set_local(connection, "statement_timeout", limits.statement_seconds)
    _set_local(connection, "idle_in_transaction_session_timeout", limits.statement_seconds)
    if changes:
        _set_local(connection, "lock_timeout", limits.turn_seconds)
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": ADVISORY_LOCK})
    _set_local(connection, "lock_timeout", limits.lock_seconds)


def _set_local(connection: Connection, name: str, seconds: float) -> None:
    connection.execute(text(f"SET LOCAL {name} = {round(seconds * 1000)}"))
