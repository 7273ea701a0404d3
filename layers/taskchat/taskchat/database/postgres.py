"""PostgreSQL through psycopg2: deadlines for answers, explicit transactions, and errors without values."""

import select
import time
from typing import Any

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event

from taskchat.database import deadlines, identity
from taskchat.database.deadlines import CONNECT_TIMEOUT_SECONDS
from taskchat.database.identity import Identity

_QUOTING_STATES = ("22", "42601")
"""Beginnings of SQLSTATEs (PostgreSQL, appendix A) whose messages quote a value: data exceptions, syntax errors."""


def create(url: URL, *, statement_seconds: float, **options: Any) -> Engine:
    """Return an engine whose waits end at the current deadline, and whose errors show no value of a statement.

    The server cancels a statement after `statement_seconds`, or sooner where the current deadline says so.
    """
    extensions.set_wait_callback(_wait)
    engine = create_engine(
        url,
        connect_args={
            "connection_factory": _Connection,
            # A role, a database or PGCLIENTENCODING may have set another one.
            "client_encoding": "UTF8",
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
        },
        use_native_hstore=False,
        **options,
    )

    def begin(connection: Connection) -> None:
        deadline = deadlines.current()
        seconds = statement_seconds if deadline is None else deadline.server_seconds()
        _begin(connection, seconds, identity.current())

    event.listen(engine, "begin", begin)
    redact_errors(engine)
    return engine


def redact_errors(engine: Engine) -> None:
    """Remove the values of statements and rows from the engine's errors: they may be people's text."""
    event.listen(engine, "handle_error", _redact)


_OWN_ID = "SET LOCAL taskchat.user_id = %(id)s"
_ID_OF_TURN = "SELECT set_config('taskchat.user_id', coalesce(taskchat_turn_user(%(id)s)::text, ''), true)"


def _begin(connection: Connection, seconds: float, identity: Identity) -> None:
    """Open a transaction in one message. Settings that end with the transaction are part of that message.

    The role and the person are such settings, so a pooler never hands them to its next client.

    The server enforces the time limits, so it also ends the work of a killed or frozen function. A cancel request
    from here might not reach the server through a pooler.
    """
    limit = f"{round(seconds * 1000)}"
    person, known_id = (_OWN_ID, identity.user_id) if identity.turn_id is None else (_ID_OF_TURN, identity.turn_id)
    connection.exec_driver_sql(
        "BEGIN ISOLATION LEVEL READ COMMITTED"
        f"; SET LOCAL ROLE {identity.role}"
        f"; {person}"
        f"; SET LOCAL statement_timeout = {limit}"
        f"; SET LOCAL idle_in_transaction_session_timeout = {limit}",
        {"id": "" if known_id is None else str(known_id)},
    )


def end_read_only_session(connection: Connection) -> None:
    """End the server's session if it is read-only.

    A session keeps the `default_transaction_read_only` of its start. A pooler would hand it out again, after the
    database has become writable. Such a session is closed before it answers, which raises DBAPIError.
    """
    # A session may be ended by the role that it logged in with.
    connection.exec_driver_sql(
        "SET LOCAL ROLE none"
        "; SELECT pg_terminate_backend(pg_backend_pid()) WHERE current_setting('transaction_read_only') = 'on'"
    )


def _redact(context: ExceptionContext) -> None:
    # Psycopg2 writes a statement's values into the SQL, and the server quotes both in its messages.
    error, wrapper = context.original_exception, context.sqlalchemy_exception
    if not isinstance(error, psycopg2.Error) or error.pgcode is None:
        return
    message = type(error).__name__ if error.pgcode.startswith(_QUOTING_STATES) else error.diag.message_primary
    error.args = (f"{message} (SQLSTATE {error.pgcode})",)
    if wrapper is not None:
        wrapper.args = error.args


class _Connection(extensions.connection):
    """A connection in the driver's autocommit mode, so that `_begin` alone opens transactions.

    In that mode the driver's `commit` and `rollback` send nothing, which is why they are replaced.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.autocommit = True

    def commit(self) -> None:
        """Commit, if a transaction is open.

        Raises:
            psycopg2.InternalError: a statement failed before, so that PostgreSQL would roll back without an error.
        """
        if self.get_transaction_status() == extensions.TRANSACTION_STATUS_INERROR:
            raise psycopg2.InternalError("a statement of this transaction failed, so it cannot be committed")
        self._end("COMMIT")

    def rollback(self) -> None:
        """Roll back, if a transaction is open."""
        self._end("ROLLBACK")

    def _end(self, statement: str) -> None:
        if self.get_transaction_status() != extensions.TRANSACTION_STATUS_IDLE:
            self.cursor().execute(statement)


def _wait(connection: Any) -> None:
    """Wait for the server. Psycopg2 calls this for every connection of the process, while a statement runs."""
    seconds = longest_wait_seconds(is_new=connection.status == extensions.STATUS_SETUP)
    end = None if seconds is None else time.monotonic() + seconds
    while (state := connection.poll()) != extensions.POLL_OK:
        readable = [connection] if state == extensions.POLL_READ else []
        writable = [connection] if state == extensions.POLL_WRITE else []
        left = None if end is None else max(0.0, end - time.monotonic())
        if not any(select.select(readable, writable, [], left)):
            raise psycopg2.OperationalError("the server did not answer before the deadline")


def longest_wait_seconds(*, is_new: bool) -> float | None:
    """Return the limit of a wait for a new connection, or for an answer, by the current deadline. None is no limit."""
    deadline = deadlines.current()
    if deadline is None:
        return CONNECT_TIMEOUT_SECONDS if is_new else None
    return deadline.connect_seconds() if is_new else deadline.answer_seconds()
