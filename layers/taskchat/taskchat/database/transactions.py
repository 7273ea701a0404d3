"""`Database.transaction`, and what it does about a connection that is lost."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from taskchat.database import engine
from taskchat.database.postgres import Deadlines
from taskchat.errors import DatabaseUnavailableError
from taskchat.settings import settings

Result = TypeVar("Result")

RETRY_AFTER_SECONDS = 2
TRIES = 2
_SQLITE_LOCKED = (5, 6)
"""SQLITE_BUSY and SQLITE_LOCKED (sqlite.org/rescode.html), in the low byte of a result code."""
_PRIMARY_CODE = 0xFF


@lru_cache(maxsize=1)
def database() -> "Database":
    """Return this process's database, as its settings name it."""
    return Database(settings().resolve_database_url, deadline_seconds=settings().database_deadline_seconds)


class Database:
    """A database and how to reach it.

    `url` is asked again for each new engine, so that a rotated secret is taken up. `deadline_seconds` bounds
    every single statement: behind a pooler a dead server would otherwise hang a request until it is killed.
    """

    def __init__(self, url: Callable[[], str], *, deadline_seconds: float = 8.0) -> None:
        self._url = url
        self._deadlines = Deadlines(statement_seconds=deadline_seconds)
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """Return the engine, made at the first call; it connects when it is first used."""
        if self._engine is None:
            self._engine = engine.create(engine.driver_url(self._url()), self._deadlines)
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
            self._attempt(lambda _connection: None)
        except (DBAPIError, PoolTimeoutError) as error:
            if not _is_passing(error):
                raise
            self.dispose()
            raise _unavailable() from error
        finally:
            self._deadlines.connect_seconds = kept

    def transaction(
        self, work: Callable[[Connection], Result], *, before_each_try: Callable[[], None] = lambda: None
    ) -> Result:
        """Run `work` in one transaction, commit, and return what it returned.

        A try may have to connect first; where there is no time for that, `before_each_try` may raise.

        Where the connection was lost, or a lock was, `work` runs once more on a new one: so it must be safe to
        run again after a commit whose answer never arrived. That replaces a ping before every transaction.

        Raises:
            DatabaseUnavailableError: the second try failed as well.
        """
        failure: Exception | None = None
        for _ in range(TRIES):
            before_each_try()
            try:
                return self._attempt(work)
            except (DBAPIError, PoolTimeoutError) as error:
                if not _is_passing(error):
                    raise
                self.dispose()
                failure = error
        raise _unavailable() from failure

    def _attempt(self, work: Callable[[Connection], Result]) -> Result:
        with self.engine().begin() as connection:
            return work(connection)


def _unavailable() -> DatabaseUnavailableError:
    return DatabaseUnavailableError("The database does not answer right now.", retry_after_seconds=RETRY_AFTER_SECONDS)


def _is_passing(error: DBAPIError | PoolTimeoutError) -> bool:
    """Whether the same work may succeed a moment later: the connection or a lock was lost, not an argument."""
    if isinstance(error, PoolTimeoutError):
        return True
    if (code := getattr(error.orig, "sqlite_errorcode", None)) is not None:
        return code & _PRIMARY_CODE in _SQLITE_LOCKED
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
