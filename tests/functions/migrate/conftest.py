"""The migrate function in an environment of its own, and helpers that look at its database."""

import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from sqlalchemy import create_engine, inspect, text

from functions.migrate.app import handler, logger
from local.lambda_events import LambdaContext
from taskchat.database import driver_url
from taskchat.settings import settings

Migrate = Callable[..., dict[str, Any]]
DATABASE_VARIABLES = [
    "DATABASE_URL",
    "DATABASE_URL_SECRET",
    "DATABASE_URL_UNPOOLED",
    "DATABASE_URL_UNPOOLED_SECRET",
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return how to set the database's variables; those that are not named are absent."""

    def change(**variables: str) -> None:
        for name in DATABASE_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    change()
    yield change
    settings.cache_clear()


@pytest.fixture
def invoke() -> Migrate:
    """Return the function as Lambda calls it: JSON in, JSON out, with so many seconds left."""

    def call(event: object = None, *, seconds_left: float = 60.0) -> dict[str, Any]:
        context: Any = LambdaContext(remaining_ms=lambda: round(seconds_left * 1000))
        answer = handler(json.loads(json.dumps({} if event is None else event)), context)
        return dict(json.loads(json.dumps(answer)))

    return call


@pytest.fixture
def migrate(environment: Callable[..., None], invoke: Migrate, empty_database_url: str) -> Migrate:
    """Return the function on a database without tables."""
    environment(DATABASE_URL=empty_database_url)
    return invoke


@pytest.fixture
def migrated(environment: Callable[..., None], invoke: Migrate, database_url: str) -> Migrate:
    """Return the function on a database that is up to date."""
    environment(DATABASE_URL=database_url)
    return invoke


@pytest.fixture
def run_script() -> Callable[[str, str], None]:
    """Return how a person would run a file of statements."""

    def run(url: str, script: str) -> None:
        if url.startswith("sqlite"):
            with closing(sqlite3.connect(str(driver_url(url).database), isolation_level=None)) as file:
                file.executescript(script)
            return
        with closing(psycopg2.connect(url)) as server:
            server.autocommit = True
            server.cursor().execute(script)

    return run


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Return what the function writes to its log from here on."""
    handler: Any = logger.registered_handler
    stream = io.StringIO()
    usual = handler.setStream(stream)
    yield stream
    handler.setStream(usual)


def on(url: str, *statements: str) -> None:
    """Run statements in one transaction, as a person at a console would."""
    engine = create_engine(driver_url(url))
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def tables(url: str) -> list[str]:
    """Return the names of the tables, apart from Alembic's own."""
    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            return sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})
    finally:
        engine.dispose()


def step(answer: dict[str, Any]) -> tuple[str | None, str | None, list[str]]:
    """Return the way that an answer tells of: from, to, and the revisions in between."""
    return answer["from_revision"], answer["to_revision"], answer["applied"]
