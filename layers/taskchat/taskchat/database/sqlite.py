"""SQLite, for laptops and tests."""

from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from taskchat.database import deadlines

BUSY_TIMEOUT_SECONDS = 5


def create(url: URL, **options: Any) -> Engine:
    """Return an engine that waits for other writers, and that opens transactions in place of the driver."""
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}, **options)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late, and never for a savepoint.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")
    # SQLite's own `lower` changes ASCII letters alone.
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _begin(connection: Connection) -> None:
    deadline = deadlines.current()
    if deadline is not None:
        seconds = min(BUSY_TIMEOUT_SECONDS, deadline.seconds_left())
        driver_connection: Any = connection.connection.driver_connection
        driver_connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
