"""PostgreSQL through psycopg2: a deadline for each answer, and no round trip that can be saved."""

import select
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine.interfaces import IsolationLevel

WHOLE_TRANSACTION, WITH_NEXT = "whole_transaction", "with_next"

CONNECT_TIMEOUT_SECONDS = 10
"""A sleeping Neon takes up to several seconds to wake."""
_DATA_EXCEPTION_CLASS = "22"
"""Class of SQLSTATE (PostgreSQL, appendix A) whose messages quote the value that did not fit."""
_BEGIN = b"BEGIN; "


@dataclass
class Deadlines:
    """How long a server may be silent before it counts as gone."""

    statement_seconds: float
    connect_seconds: float = CONNECT_TIMEOUT_SECONDS


def create(url: URL, deadlines: Deadlines, **options: Any) -> Engine:
    """Return an engine whose connections keep to the deadlines, and whose errors show no value of a statement."""
    extensions.set_wait_callback(_wait)
    engine = create_engine(
        url.set(drivername=f"postgresql+{_Dialect.driver}"),
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
    event.listen(engine, "handle_error", _redact)
    return engine


def _redact(context: ExceptionContext) -> None:
    """Strike the values of a statement from its error: psycopg2 writes them into the SQL, and the server quotes it."""
    error, wrapper = context.original_exception, context.sqlalchemy_exception
    if not isinstance(error, psycopg2.Error) or error.pgcode is None:
        return
    is_about_a_value = error.pgcode.startswith(_DATA_EXCEPTION_CLASS)
    message = type(error).__name__ if is_about_a_value else error.diag.message_primary
    error.args = (f"{message} (SQLSTATE {error.pgcode})",)
    if wrapper is not None:
        wrapper.args = error.args


class _Connection(extensions.connection):
    """A connection on which a server that is silent for too long counts as gone, and which saves round trips.

    What opens a transaction or a savepoint, and any statement that may, waits in `unsent` for the next one, and both
    are sent in one message. The driver, which would send its own BEGIN alone, is told to leave transactions to us: so
    statements go through SQLAlchemy, which tells of them here, and not through a cursor of the driver.
    """

    def __init__(self, dsn: str, *, deadlines: Deadlines) -> None:
        self.deadlines = deadlines
        self.unsent = b""
        self.is_over = False
        super().__init__(dsn)
        self.autocommit = True

    def begin(self) -> None:
        """Begin a transaction with the next statement."""
        self.unsent = _BEGIN
        self.is_over = False

    def begin_and_end(self) -> None:
        """Make the next message a transaction by itself, unless one has begun; afterwards there is only reading."""
        if self.unsent == _BEGIN:
            self.unsent = b""
            self.is_over = True

    def commit(self) -> None:
        """Commit, if there is a transaction, in one message with what still waits."""
        if self.unsent in (b"", _BEGIN):
            self._end("COMMIT")
            return
        if not self.is_over:
            self.unsent += b"COMMIT"
        self.send()

    def rollback(self) -> None:
        """Forget what waits, and roll back, if there is a transaction."""
        self._end("ROLLBACK")

    def send(self, cursor: extensions.cursor | None = None) -> None:
        """Send what waits, in one message."""
        message, self.unsent = self.unsent, b""
        if not message:
            return
        try:
            (cursor or self.cursor()).execute(message)
        except psycopg2.Error:
            # Refused before any of it was run: what comes next is still of this transaction.
            if message.startswith(_BEGIN) and self._is_idle():
                self.unsent = _BEGIN
            raise

    def _end(self, statement: str) -> None:
        self.unsent = b""
        if not self._is_idle():
            self.cursor().execute(statement)

    def _is_idle(self) -> bool:
        return bool(self.get_transaction_status() == extensions.TRANSACTION_STATUS_IDLE)


class _Dialect(PGDialect_psycopg2):
    """How SQLAlchemy is told of such a connection, and that the server need not be asked who it is.

    Of the answers to those four questions, which every cold start would wait for, all that depends here is which SQL
    may be written, and it is the same from version 14 on.
    """

    driver = "taskchat"
    supports_statement_cache = True

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.begin()

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        connection: _Connection = cursor.connection
        options = {} if context is None else context.execution_options
        if connection.is_over and not statement.startswith("SELECT"):
            raise psycopg2.ProgrammingError("the transaction is over: its one statement was committed")
        if options.get(WHOLE_TRANSACTION):
            connection.begin_and_end()
        connection.unsent += cursor.mogrify(statement, parameters)
        if options.get(WITH_NEXT) or statement.startswith("SAVEPOINT "):
            connection.unsent += b"; "
        else:
            connection.send(cursor)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        self.do_execute(cursor, statement, None, context)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        cursor.connection.send()
        super().do_executemany(cursor, statement, parameters, context)  # type: ignore[no-untyped-call]

    def _get_server_version_info(self, _connection: Connection) -> tuple[int, ...]:
        return (14,)

    def _get_default_schema_name(self, _connection: Connection) -> str:
        return "public"

    def get_default_isolation_level(self, _dbapi_connection: Any) -> IsolationLevel:
        return "READ COMMITTED"

    def _set_backslash_escapes(self, _connection: Connection) -> None:
        self._backslash_escapes = False


registry.register(f"postgresql.{_Dialect.driver}", __name__, _Dialect.__name__)


def _wait(connection: Any) -> None:
    # Psycopg calls this, for every connection of the process, while a statement is under way.
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
