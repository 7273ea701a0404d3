"""PostgreSQL through psycopg2: deadlines for answers, explicit transactions, and errors without values."""

import select
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event

CONNECT_TIMEOUT_SECONDS = 10
"""A sleeping Neon takes up to several seconds to wake."""
_DATA_EXCEPTION_CLASS = "22"
"""The class of SQLSTATEs (PostgreSQL, appendix A) whose messages quote the value at fault."""


@dataclass
class Deadlines:
    """How long to wait for a server's answer before its connection is given up."""

    statement_seconds: float
    connect_seconds: float = CONNECT_TIMEOUT_SECONDS


def create(url: URL, deadlines: Deadlines, **options: Any) -> Engine:
    """Return an engine whose connections keep the deadlines, and whose errors show no value of a statement."""
    extensions.set_wait_callback(_wait)
    engine = create_engine(
        url,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "connection_factory": partial(_Connection, deadlines=deadlines),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
        },
        use_native_hstore=False,
        **options,
    )
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _redact)
    return engine


def _begin(connection: Connection) -> None:
    """Open a transaction, in one message. Settings for this transaction alone belong into it too."""
    connection.exec_driver_sql("BEGIN ISOLATION LEVEL READ COMMITTED")


def _redact(context: ExceptionContext) -> None:
    """Remove a statement's values from its error: psycopg2 writes them into the SQL, and the server quotes them."""
    error, wrapper = context.original_exception, context.sqlalchemy_exception
    if not isinstance(error, psycopg2.Error) or error.pgcode is None:
        return
    quotes_value = error.pgcode.startswith(_DATA_EXCEPTION_CLASS)
    message = type(error).__name__ if quotes_value else error.diag.message_primary
    error.args = (f"{message} (SQLSTATE {error.pgcode})",)
    if wrapper is not None:
        wrapper.args = error.args


class _Connection(extensions.connection):
    """A connection in the driver's autocommit mode, so that `_begin` alone opens transactions.

    In that mode the driver's `commit` and `rollback` send nothing, which is why they are replaced.
    """

    def __init__(self, dsn: str, *, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        super().__init__(dsn)
        self.autocommit = True

    def commit(self) -> None:
        """Commit, if a transaction is open."""
        self._end("COMMIT")

    def rollback(self) -> None:
        """Roll back, if a transaction is open."""
        self._end("ROLLBACK")

    def _end(self, statement: str) -> None:
        if self.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE:
            self.cursor().execute(statement)


def _wait(connection: Any) -> None:
    # Psycopg2 calls this for every connection of the process while a statement runs.
    deadlines: Deadlines | None = getattr(connection, "deadlines", None)
    is_new = connection.status == extensions.STATUS_SETUP
    seconds: float | None
    if deadlines is None:
        seconds = CONNECT_TIMEOUT_SECONDS if is_new else None
    else:
        seconds = deadlines.connect_seconds if is_new else deadlines.statement_seconds
    end = None if seconds is None else time.monotonic() + seconds
    while (state := connection.poll()) != extensions.POLL_OK:
        readable = [connection] if state == extensions.POLL_READ else []
        writable = [connection] if state == extensions.POLL_WRITE else []
        left = None if end is None else max(0.0, end - time.monotonic())
        if not any(select.select(readable, writable, [], left)):
            raise psycopg2.OperationalError("the server did not answer before the deadline")
