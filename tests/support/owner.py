"""Transactions of the owner of the tables, whom row-level security does not bind."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from taskchat.database import Database, identity
from taskchat.database.identity import Identity

Result = TypeVar("Result")

OWNER = Identity(role="none")
"""The role that a session logged in with (PostgreSQL, SET ROLE)."""


def as_owner(database: Database, work: Callable[[Connection], Result]) -> Result:
    """Run `work` as `Database.transaction` does, in a transaction that reaches everybody's rows."""
    return database._repeat(OWNER, work, None)


@contextmanager
def owned(database: Database) -> Iterator[Connection]:
    """Yield a connection whose transactions reach everybody's rows; the caller commits."""
    with identity.keeping(OWNER), database.engine().connect() as connection:
        yield connection


@contextmanager
def other_session(database_url: str) -> Iterator[Connection]:
    """Yield a connection as `owned` does, of another process that uses the same database."""
    database = Database(lambda: database_url)
    try:
        with owned(database) as connection:
            yield connection
    finally:
        database.dispose()


def wait_for_lock(connection: Connection, waiting: Future[Any]) -> None:
    """Wait until another session of this PostgreSQL database waits for a lock, as `waiting` must."""
    while not connection.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
        assert not waiting.done()
