"""The transaction of a migration: bounded, one at a time, all or nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError

from migrations.transaction import ADVISORY_LOCK, Limits, migration_transaction
from taskchat.database import driver_url

IMPATIENT = Limits(turn_seconds=0.2, lock_seconds=0.2, statement_seconds=0.4)


class BreakdownError(Exception):
    """Raised by a test in the middle of a migration."""


@contextmanager
def transaction(url: str, limits: Limits = Limits(), *, changes: bool = True) -> Iterator[Connection]:  # noqa: B008
    with migration_transaction(driver_url(url), limits, changes=changes) as connection:
        yield connection


@contextmanager
def other_session(url: str, statement: str) -> Iterator[Any]:
    """Run a statement in a transaction of another session, and keep it open."""
    is_sqlite = url.startswith("sqlite")
    with closing(
        sqlite3.connect(str(driver_url(url).database), isolation_level=None) if is_sqlite else psycopg2.connect(url)
    ) as session:
        session.cursor().execute(statement)
        yield session
        session.rollback()


def setting(connection: Connection, name: str) -> str:
    return str(connection.execute(text(f"SHOW {name}")).scalar_one())


def test_work_before_a_failure_is_undone(empty_database_url: str) -> None:
    def break_down(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE half (id INTEGER)"))
        connection.execute(text("INSERT INTO half VALUES (1)"))
        raise BreakdownError

    with pytest.raises(BreakdownError), transaction(empty_database_url) as connection:
        break_down(connection)

    with transaction(empty_database_url) as connection:
        assert inspect(connection).get_table_names() == []


def test_a_question_changes_nothing(empty_database_url: str) -> None:
    with (
        pytest.raises(DBAPIError, match=r"read-only|readonly"),
        transaction(empty_database_url, changes=False) as connection,
    ):
        connection.execute(text("CREATE TABLE half (id INTEGER)"))


def test_the_wait_for_other_migrations_is_bounded(empty_database_url: str) -> None:
    hold = "BEGIN IMMEDIATE" if "sqlite" in empty_database_url else f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"
    with (
        other_session(empty_database_url, hold),
        pytest.raises(OperationalError, match=r"lock timeout|database is locked"),
        transaction(empty_database_url, IMPATIENT),
    ):
        pytest.fail("it did not wait")


def test_a_question_does_not_wait_for_a_migration(empty_database_url: str) -> None:
    hold = "BEGIN IMMEDIATE" if "sqlite" in empty_database_url else f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"
    with (
        other_session(empty_database_url, hold),
        transaction(empty_database_url, IMPATIENT, changes=False) as connection,
    ):
        assert connection.execute(text("SELECT 1")).scalar_one() == 1


def test_the_wait_for_a_table_is_bounded(postgres_url: str) -> None:
    with (
        other_session(postgres_url, "SELECT * FROM tasks"),
        pytest.raises(OperationalError, match=r"lock timeout"),
        transaction(postgres_url, IMPATIENT) as connection,
    ):
        connection.execute(text("ALTER TABLE tasks ADD COLUMN more TEXT"))


def test_the_duration_of_a_statement_is_bounded(postgres_url: str) -> None:
    with (
        pytest.raises(OperationalError, match=r"statement timeout"),
        transaction(postgres_url, IMPATIENT) as connection,
    ):
        connection.execute(text("SELECT pg_sleep(60)"))


def test_the_limits_end_with_the_transaction(postgres_url: str) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with transaction(postgres_url) as connection:
        inside = [setting(connection, name) for name in names]
        driver: Any = connection.connection.driver_connection
        driver.commit()
        outside = [setting(connection, name) for name in names]

    assert inside == ["10s", "5min", "5min"]
    assert outside == ["0", "0", "0"]


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 8.0])
def test_limits_fit_into_the_time_left(seconds: float) -> None:
    limits = Limits().within(seconds)

    assert 0 < limits.turn_seconds <= max(0.1, seconds / 2)
    assert 0 < limits.lock_seconds <= max(0.1, seconds / 2)
    assert 0 < limits.statement_seconds <= max(0.1, seconds)


def test_spare_time_does_not_raise_limits() -> None:
    assert Limits().within(900) == Limits()
