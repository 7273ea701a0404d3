"""Databases on PostgreSQL, several in a test, and a second session that interferes."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import URL, Connection, make_url, text

from local.pgbouncer import Pooler, pooler
from local.postgres import execute
from taskchat.database import Database
from tests.support.owner import as_owner
from tests.support.relay import Relay, relay

Connect = Callable[..., Database]
Administer = Callable[[str], None]

ONE = uuid.UUID(int=1)
"""The user of `sign_up`."""


@pytest.fixture
def connect_to() -> Iterator[Connect]:
    """Return a maker of `Database`s, which are disposed of after the test."""
    with ExitStack() as stack:

        def make(url: str, **options: Any) -> Database:
            database = Database(lambda: url, **options)
            stack.callback(database.dispose)
            return database

        yield make


@pytest.fixture
def postgres(connect_to: Connect, postgres_url: str) -> Database:
    """Return a `Database` on a migrated PostgreSQL."""
    return connect_to(postgres_url)


@pytest.fixture
def narrow_pooler(postgres_server_url: URL) -> Iterator[Pooler]:
    """Return a pooler with one connection to each database."""
    with pooler(postgres_server_url, pool_size=1) as running:
        yield running


@pytest.fixture
def administer(postgres_server_url: URL, postgres_url: str) -> Administer:
    """Return how the owner of the database runs a statement, from another database."""
    name = str(make_url(postgres_url).database)
    return lambda statement: execute(postgres_server_url, statement.replace("DATABASE_NAME", name))


@pytest.fixture
def wire(postgres_url: str) -> Iterator[Relay]:
    """Return a relay to the server of `postgres_url`."""
    port = make_url(postgres_url).port
    assert port is not None
    with relay(port) as wire:
        yield wire


@pytest.fixture
def behind_wire(connect_to: Connect, postgres_url: str, wire: Relay) -> Database:
    """Return a `Database` that reaches PostgreSQL through `wire`."""
    return connect_to(make_url(postgres_url).set(port=wire.port).render_as_string(hide_password=False))


def pid_of(connection: Connection) -> int:
    """Return the process id of the server's session."""
    return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def answer(connection: Connection) -> int:
    """Ask the database for 42."""
    return int(connection.execute(text("SELECT 42")).scalar_one())


def sign_up(connection: Connection, number: int = 1, **options: bool) -> None:
    """Insert a user; the `%` shows whether statements without parameters keep it."""
    insert = text(f"INSERT INTO users (id, subject) VALUES ('{number:032x}', '{number} %')")
    connection.execute(insert, execution_options=options)


def users(database: Database) -> list[str]:
    """Return the subjects of all users."""
    subjects = text("SELECT subject FROM users ORDER BY subject")
    return as_owner(database, lambda connection: list(connection.execute(subjects).scalars()))
