"""Servers that every subject talks to: PostgreSQL with statement statistics, and the scripted model."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from sqlalchemy import URL

from bench.checkouts import Checkout
from bench.worker import Worker, worker
from local.postgres import execute, postgres_database, postgres_server

MODEL = "scripted"
API_KEY = "none"
SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "256MB",
    "max_connections": "300",
    "synchronous_commit": "on",
    "fsync": "on",
    "wal_level": "replica",
    "max_wal_size": "4GB",
    # Full-page images depend on the time since the last checkpoint, so runs would differ.
    "full_page_writes": "off",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}
COUNTED = """
SELECT coalesce(sum(calls), 0), coalesce(sum(wal_bytes), 0),
       coalesce(sum(rows) FILTER (WHERE query !~* '^\\s*(insert|update|delete)'), 0),
       coalesce(sum(total_exec_time), 0)
FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid WHERE datname = %s
"""


class Statistics:
    """Work of a database as `pg_stat_statements` counts it, BEGIN and COMMIT included."""

    def __init__(self, server: URL) -> None:
        self._connection = psycopg2.connect(_text(server.set(username="postgres")))
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def reset(self) -> None:
        """Start counting from zero."""
        self._cursor.execute("SELECT pg_stat_statements_reset()")

    def counted(self, database: URL) -> dict[str, float]:
        """Return statements, WAL in bytes, rows that queries returned and execution time since the reset."""
        self._cursor.execute(COUNTED, (database.database,))
        names = ("statements", "wal_bytes", "rows_read", "server_ms")
        return dict(zip(names, map(float, self._cursor.fetchone() or ()), strict=True))

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as superuser and return its rows."""
        self._cursor.execute(statement)
        return self._cursor.fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def server() -> Iterator[tuple[URL, Statistics]]:
    """Start PostgreSQL with TLS; data in memory, fsync and synchronous commit on."""
    with postgres_server(SETTINGS) as url, closing(Statistics(url)) as statistics:
        yield url, statistics


@contextmanager
def database(server: URL) -> Iterator[URL]:
    """Create an empty database."""
    with postgres_database(server) as url:
        yield url


@contextmanager
def migrated(server: URL, checkout: Checkout) -> Iterator[URL]:
    """Create a database with the tables of a checkout."""
    with database(server) as url:
        with worker("bench.subjects.taskchat", environment(url), root=checkout.root) as subject:
            # The subject migrates before it takes its first command.
            subject.ask("seed", messages=0)
        yield url


def vacuum(database: URL) -> None:
    """Vacuum and analyse now, since autovacuum is off."""
    execute(database, "VACUUM (ANALYZE)")


@contextmanager
def model() -> Iterator[tuple[Worker, str]]:
    """Start the scripted model; the string is the base URL of its API."""
    with worker("bench.model") as process:
        yield process, process.ask("url")


NO_LIMITS = {name: str(10**12) for name in ("USER_TOKENS_PER_DAY", "USER_TURNS_PER_MINUTE", "USER_TURNS_IN_FLIGHT")}
"""One person sends all turns of a measurement."""


def environment(database: URL, model_url: str = "") -> Mapping[str, str]:
    """Return the environment variables of a subject's process."""
    return {
        "DATABASE_URL": _text(database),
        "OPENAI_BASE_URL": model_url,
        "OPENAI_API_KEY": API_KEY,
        "OPENAI_MODEL": MODEL,
        **NO_LIMITS,
    }


def _text(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)
