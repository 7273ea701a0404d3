"""Transactions of the owner of the tables, whom row-level security does not bind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection

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
