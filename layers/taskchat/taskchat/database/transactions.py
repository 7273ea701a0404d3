"""`Database.transaction` runs work in one transaction, and retries it after transient failures of the database."""

import logging
import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from taskchat.database import deadlines, engine, identity, postgres
from taskchat.database.deadlines import Deadline
from taskchat.database.failures import Failure, Reaction, Trouble, sqlstate, trouble_of
from taskchat.database.identity import NOBODY, SWEEP_ROLE, Identity
from taskchat.errors import DatabaseUnavailableError, DatabaseUnusableError
from taskchat.settings import settings

Result = TypeVar("Result")

PATIENCE_SECONDS = 10.0
"""Time limit of a transaction whose caller gives none."""
SHORTEST_TRY_SECONDS = 0.2
"""With less time left, no try begins."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
RETRY_AFTER_SECONDS = 2
_READ_ONLY = "25006"
_NO_TIME = Trouble(Reaction.GIVE_UP, "There is no time left to ask the database.")
_logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def database() -> "Database":
    """Return this process's database, as its settings name it."""
    return Database(settings().resolve_database_url, deadline_seconds=settings().database_deadline_seconds)


class Database:
    """A database, and the one connection to it that is kept.

    `url` is called for each new engine, so that a rotated secret is taken up. `deadline_seconds` bounds every
    statement: behind a pooler a dead server would otherwise hang a request until it is killed.
    """

    def __init__(self, url: Callable[[], str], *, deadline_seconds: float = 8.0) -> None:
        self._url = url
        self._statement_seconds = deadline_seconds
        self._engine: Engine | None = None

    def engine(self) -> Engine:
        """Return the engine, made at the first call; it connects when it is first used.

        On PostgreSQL, a transaction that is begun on it directly belongs to nobody and sees no row.
        """
        if self._engine is None:
            self._engine = engine.create(
                engine.driver_url(self._url()),
                statement_seconds=self._statement_seconds,
            )
        return self._engine

    def dispose(self) -> None:
        """Close the kept connection; the next transaction opens another."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def connect(self, within_seconds: float) -> None:
        """Open the kept connection before it is needed, in one try.

        Raises:
            DatabaseUnavailableError: no connection was made in time. The next transaction tries again.
            DatabaseUnusableError: an operator has to change something first.
        """
        self._run(NOBODY, lambda _connection: None, within_seconds, pauses=(0.0,))

    def transaction(
        self,
        user_id: uuid.UUID,
        work: Callable[[Connection], Result],
        *,
        seconds_left: Callable[[], float] | None = None,
    ) -> Result:
        """Run `work` in one transaction, commit, and return its result. It reaches rows of `user_id` only.

        Row-level security ensures that on PostgreSQL, apart from the conditions of the statements.

        If the connection, a lock or the server is lost, `work` runs again, after growing pauses, until `seconds_left`
        is used up. So `work` must be safe to repeat, also after a commit whose answer was lost. No wait outlasts
        `seconds_left`, so the caller subtracts the time that it needs afterwards. Without it, the limit is
        `PATIENCE_SECONDS`. The server cancels a statement that exceeds its deadline, and that is not repeated.

        Raises:
            DatabaseUnavailableError: the work was not committed in time.
            DatabaseUnusableError: an operator has to change something first.
            sqlalchemy.exc.DBAPIError: a statement or its data is at fault.
        """
        return self._repeat(Identity(user_id=user_id), work, seconds_left)

    def turn_transaction(
        self,
        turn_id: uuid.UUID,
        work: Callable[[Connection], Result],
        *,
        seconds_left: Callable[[], float] | None = None,
    ) -> Result:
        """Run `work` as `transaction` does, for the person whose turn it is. No row is visible for an unknown turn."""
        return self._repeat(Identity(turn_id=turn_id), work, seconds_left)

    def sweep_transaction(
        self, work: Callable[[Connection], Result], *, seconds_left: Callable[[], float] | None = None
    ) -> Result:
        """Run `work` as `transaction` does, as the role of the sweep, which reaches everybody's turns and no text."""
        return self._repeat(Identity(SWEEP_ROLE), work, seconds_left)

    def _repeat(
        self, who: Identity, work: Callable[[Connection], Result], seconds_left: Callable[[], float] | None
    ) -> Result:
        return self._run(who, work, PATIENCE_SECONDS if seconds_left is None else seconds_left(), _pauses())

    def _run(
        self, who: Identity, work: Callable[[Connection], Result], seconds: float, pauses: Iterable[float]
    ) -> Result:
        deadline = Deadline(time.monotonic() + seconds, self._statement_seconds)
        failure: Failure | None = None
        trouble, may_have_committed = _NO_TIME, False
        for tries, pause in enumerate(pauses, start=1):
            if pause:
                time.sleep(min(pause, deadline.seconds_left()))
            if deadline.seconds_left() < SHORTEST_TRY_SECONDS:
                break
            is_committing = False
            try:
                with deadlines.keeping(deadline), identity.keeping(who), self.engine().begin() as connection:
                    result = work(connection)
                    is_committing = True
            except (DBAPIError, PoolTimeoutError) as error:
                failure, trouble = error, trouble_of(error)
                if trouble.reaction is Reaction.RAISE:
                    raise
            else:
                return result
            self._log(tries, failure)
            if trouble.reaction is Reaction.REPORT:
                raise DatabaseUnusableError(trouble.cause) from failure
            if trouble.reaction in (Reaction.RECONNECT, Reaction.RECONNECT_ONCE):
                may_have_committed |= is_committing
                self._drop_connection(failure, deadline)
            if trouble.reaction is Reaction.GIVE_UP or (trouble.reaction is Reaction.RECONNECT_ONCE and tries > 1):
                break
        cause = f"{trouble.cause} The change may have been made." if may_have_committed else trouble.cause
        raise DatabaseUnavailableError(cause, retry_after_seconds=RETRY_AFTER_SECONDS) from failure

    def _drop_connection(self, failure: Failure, deadline: Deadline) -> None:
        if sqlstate(failure) == _READ_ONLY:
            with suppress(DBAPIError), deadlines.keeping(deadline), self.engine().begin() as connection:
                postgres.end_read_only_session(connection)
        self.dispose()

    def _log(self, tries: int, failure: Failure) -> None:
        """Log the first line of what the server or the driver says. Values are redacted from it already."""
        text = str(getattr(failure, "orig", failure)).partition("\n")[0]
        if self._engine is not None:
            text = engine.conceal_passwords(text, self._engine.url)
        _logger.warning("database failure in try %d: %s", tries, text)


def _pauses() -> Iterator[float]:
    """Yield the seconds before each try, without end. A connection that died unnoticed is replaced without a pause."""
    yield from (0.0, 0.0)
    pause = FIRST_PAUSE_SECONDS
    while True:
        # The jitter keeps instances that failed together from retrying together.
        yield pause * random.uniform(0.5, 1.0)  # noqa: S311 - no secret depends on it # nosec B311
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
