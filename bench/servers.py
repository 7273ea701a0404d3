"""What the subjects talk to: PostgreSQL 17 with TLS and its statistics of statements, a model, a network."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
from sqlalchemy import URL

from bench.worker import Worker, worker
from tests.support.postgres import ROLE, execute, postgres_database, postgres_server

SETTINGS = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "256MB",
    "max_connections": "300",
    "synchronous_commit": "on",
    "fsync": "on",
    "wal_level": "replica",
    "max_wal_size": "4GB",
    # An image of a page that is first touched after a checkpoint would be in the one run and not in the other.
    "full_page_writes": "off",
    "checkpoint_timeout": "1h",
    "autovacuum": "off",
}
STATEMENTS = """
SELECT coalesce(sum(calls), 0), coalesce(sum(wal_bytes), 0),
       coalesce(sum(rows) FILTER (WHERE query !~* '^\\s*(insert|update|delete)'), 0),
       coalesce(sum(total_exec_time), 0)
FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
WHERE datname = %s AND userid = %s::regrole
"""


class Statistics:
    """What a database was asked to do, as pg_stat_statements counts it: every statement, BEGIN and COMMIT as well."""

    def __init__(self, server: URL) -> None:
        superuser = server.set(username="postgres", drivername="postgresql")
        self._connection = psycopg2.connect(superuser.render_as_string(hide_password=False))
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")

    def reset(self) -> None:
        """Begin to count anew."""
        self._cursor.execute("SELECT pg_stat_statements_reset()")

    def counted(self, database: URL) -> dict[str, float]:
        """Return what the subject's role has done to a database since the reset."""
        self._cursor.execute(STATEMENTS, (database.database, ROLE))
        names = ("statements", "wal_bytes", "rows_read", "server_ms")
        return dict(zip(names, (float(value) for value in self._cursor.fetchone() or ()), strict=True))

    def version(self) -> str:
        """Return the server's version."""
        self._cursor.execute("SHOW server_version")
        return str((self._cursor.fetchone() or ("?",))[0])

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as superuser."""
        self._cursor.execute(statement)
        return self._cursor.fetchall()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextmanager
def server() -> Iterator[tuple[URL, Statistics]]:
    """Start PostgreSQL with its data in memory, and everything durable switched on but full-page images."""
    with postgres_server(SETTINGS) as url, closing(Statistics(url)) as statistics:
        yield url, statistics


@contextmanager
def database(server: URL) -> Iterator[URL]:
    """Make an empty database."""
    with postgres_database(server) as url:
        yield url


def vacuum(database: URL) -> None:
    """Do now what autovacuum would do at some time during the measurement."""
    execute(database, "VACUUM (ANALYZE)")


@contextmanager
def model() -> Iterator[tuple[Worker, str]]:
    """Start the model server; the URL is that of its API."""
    with worker("bench.model") as process:
        yield process, process.ask("url")


@contextmanager
def network(url: URL) -> Iterator[tuple[Worker, URL]]:
    """Put a proxy before a database; the URL leads through it."""
    with worker("bench.proxy") as process:
        yield process, url.set(port=process.ask("listen", port=url.port))


def environment(database: URL, model_url: str) -> Mapping[str, str]:
    """Return what a subject's process is told."""
    text = database.set(drivername="postgresql").render_as_string(hide_password=False)
    return {"BENCH_DATABASE_URL": text, "BENCH_MODEL_URL": model_url}
