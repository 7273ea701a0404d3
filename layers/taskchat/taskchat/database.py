"""The engine, with one kept connection, and `Database.transaction`, the only way to it."""

import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeVar

import psycopg2
from psycopg2 import extensions
from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event, make_url
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from taskchat.errors import DatabaseUnavailableError
from taskchat.settings import SettingsError, settings

Result = TypeVar("Result")

CONNECT_TIMEOUT_SECONDS = 10
"""A sleeping Neon takes up to several seconds to wake."""
SQLITE_BUSY_TIMEOUT_SECONDS = 5
RETRY_AFTER_SECONDS = 2
TRIES = 2
_SQLITE_LOCKED = (5, 6)
"""SQLITE_BUSY and SQLITE_LOCKED (sqlite.org/rescode.html), in the low byte of a result code."""
_PRIMARY_CODE = 0xFF
_DATA_EXCEPTION_CLASS = "22"
"""Class of SQLSTATE (PostgreSQL, appendix A) whose messages quote the value that did not fit."""


@lru_cache(maxsize=1)
def database() -> "Database":
    """Return this process's database, as its settings name it."""
    return Database(settings().resolve_database_url, deadline_seconds=settings().database_deadline_seconds)


def driver_url(url: str) -> URL:
    """Return SQLAlchemy's URL for what Neon hands out: `postgres://` and `postgresql://` mean psycopg2 here.

    Query parameters, such as `sslmode` and `channel_binding`, stay.

    Raises:
        SettingsError: it is no URL; the message shows no part of it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The parser's own error quotes a part of the URL, which may be one of the password.
        parsed = None
    # After an @ or a / that was not encoded, the rest of a password counts as host or database, which errors quote.
    if parsed is None or (parsed.host and "@" in f"{parsed.host}{parsed.database}"):
        raise SettingsError("the database's URL cannot be parsed; is its password percent-encoded?")
    if parsed.drivername in ("postgres", "postgresql"):
        return parsed.set(drivername="postgresql+psycopg2")
    return parsed


class Database:
    """A database and how to reach it.

    `url` is asked again for each new engine, so that a rotated secret is taken up. `deadline_seconds` bounds
    every single statement: behind a pooler a dead server would otherwise hang a request until it is killed.
    """

    def __init__(self, url: Callable[[], str], *, deadline_seconds: float = 8.0) -> None:
        self._url = url
        self._deadlines = _Deadlines(statement_seconds=deadline_seconds)
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """Return the engine, made at the first call; it connects when it is first used."""
        if self._engine is None:
            self._engine = _create_engine(driver_url(self._url()), self._deadlines)
        return self._engine

    def dispose(self) -> None:
        """Close the kept connection; the next transaction opens another."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def connect(self, within_seconds: float) -> None:
        """Open the kept connection before it is needed; where that fails, the next transaction tries again.

        Raises:
            DatabaseUnavailableError: there was none within that time.
        """
        kept, self._deadlines.connect_seconds = self._deadlines.connect_seconds, within_seconds
        try:
            self._attempt(lambda session: session.connection())
        except (DBAPIError, PoolTimeoutError) as error:
            if not _is_passing(error):
                raise
            self.dispose()
            raise _unavailable() from error
        finally:
            self._deadlines.connect_seconds = kept

    def transaction(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` in one transaction, commit, and return what it returned.

        Where the connection was lost, or a lock was, `work` runs once more on a new one: so it must be safe to
        run again after a commit whose answer never arrived. That replaces a ping before every transaction.

        Raises:
            DatabaseUnavailableError: the second try failed as well.
        """
        failure: Exception | None = None
        for _ in range(TRIES):
            try:
                return self._attempt(work)
            except (DBAPIError, PoolTimeoutError) as error:
                if not _is_passing(error):
                    raise
                self.dispose()
                failure = error
        raise _unavailable() from failure

    def _attempt(self, work: Callable[[Session], Result]) -> Result:
        with Session(self.engine(), expire_on_commit=False) as session, session.begin():
            return work(session)


@dataclass
class _Deadlines:
    statement_seconds: float
    connect_seconds: float = CONNECT_TIMEOUT_SECONDS


def _unavailable() -> DatabaseUnavailableError:
    return DatabaseUnavailableError("The database does not answer right now.", retry_after_seconds=RETRY_AFTER_SECONDS)


def _is_passing(error: DBAPIError | PoolTimeoutError) -> bool:
    """Whether the same work may succeed a moment later: the connection or a lock was lost, not an argument."""
    if isinstance(error, PoolTimeoutError):
        return True
    if (code := getattr(error.orig, "sqlite_errorcode", None)) is not None:
        return code & _PRIMARY_CODE in _SQLITE_LOCKED
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def _create_engine(url: URL, deadlines: _Deadlines) -> Engine:
    # hide_parameters: what people write must not get into a log by way of an error.
    shared: dict[str, Any] = {
        "hide_parameters": True,
        "pool_size": 1,
        "max_overflow": 0,
        "pool_timeout": deadlines.statement_seconds,
    }
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS}, **shared)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    extensions.set_wait_callback(_wait)
    engine = create_engine(
        url.set(drivername=f"postgresql+{_KnownPostgres.driver}"),
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "connection_factory": partial(_DeadlineConnection, deadlines=deadlines),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 2,
        },
        use_native_hstore=False,
        **shared,
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


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions of its own, late and never for a savepoint.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # SQLite's own knows the letters of ASCII alone.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class _KnownPostgres(PGDialect_psycopg2):
    """A server that need not be asked who it is, which takes four round trips of every cold start.

    Of these answers, all that depends here is which SQL may be written, and it is the same from version 14 on.
    """

    driver = "taskchat"
    supports_statement_cache = True

    def _get_server_version_info(self, _connection: Connection) -> tuple[int, ...]:
        return (14,)

    def _get_default_schema_name(self, _connection: Connection) -> str:
        return "public"

    def get_default_isolation_level(self, _dbapi_connection: Any) -> IsolationLevel:
        return "READ COMMITTED"

    def _set_backslash_escapes(self, _connection: Connection) -> None:
        self._backslash_escapes = False


registry.register(f"postgresql.{_KnownPostgres.driver}", __name__, _KnownPostgres.__name__)


class _DeadlineConnection(extensions.connection):
    """A connection on which a server that is silent for too long counts as gone."""

    def __init__(self, dsn: str, *, deadlines: _Deadlines) -> None:
        self.deadlines = deadlines
        super().__init__(dsn)


def _wait(connection: Any) -> None:
    # Psycopg calls this, for every connection of the process, while a statement is under way.
    deadlines: _Deadlines | None = getattr(connection, "deadlines", None)
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
