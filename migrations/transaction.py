"""The one transaction in which a migration runs, for the migrate function and for the `alembic` command alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.exc import OperationalError

from taskchat.database import CONNECT_TIMEOUT_SECONDS

ADVISORY_LOCK = 8_241_530_771_906
"""Whoever migrates holds the advisory lock of this number; locks are counted per database, so any will do."""


@dataclass(frozen=True)
class Limits:
    """How long a migration may keep itself, or others, waiting."""

    turn_seconds: float = 60.0
    """For another migration to end."""
    lock_seconds: float = 10.0
    """For the lock on a table; meanwhile every other query of that table queues up behind."""
    statement_seconds: float = 300.0
    """For one statement, and for an idle moment between two (a function that was frozen in the middle)."""

    def within(self, seconds: float) -> "Limits":
        """Return limits that fit into the time left, so that the migration itself ends and says why."""
        return Limits(
            turn_seconds=min(self.turn_seconds, max(0.1, seconds / 2)),
            lock_seconds=min(self.lock_seconds, max(0.1, seconds / 2)),
            statement_seconds=min(self.statement_seconds, max(0.1, seconds)),
        )


@contextmanager
def migration_transaction(url: URL, limits: Limits, *, changes: bool = True) -> Iterator[Connection]:
    """Open a connection and a transaction, yield, commit; everything is undone when the block raises.

    With `changes`, it first waits for its turn, so that of two migrations at once the second sees what the
    first has done. Without, the database refuses every change.

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
        # Whoever waited for the lock has to see what was committed meanwhile.
        options["isolation_level"] = "READ COMMITTED"
        return create_engine(url, connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS}, **options)
    engine = create_engine(url, connect_args={"timeout": limits.turn_seconds}, **options)

    @event.listens_for(engine, "connect")
    def leave_transactions_to_us(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        # Not enforced here: dropping a table would count as deleting its rows, and cascade.
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
        # A sleeping Neon may let its first caller down.
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
