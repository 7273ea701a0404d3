"""Transactions: all or nothing, on a kept connection, with errors that show no one's text."""

import logging
import threading
import traceback
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from taskchat.database import Database
from taskchat.database import database as process_database
from taskchat.errors import DatabaseUnavailableError, DatabaseUnusableError
from taskchat.settings import settings
from tests.support.owner import as_owner
from tests.taskchat.database.conftest import ONE, Administer, Connect, answer, pid_of, sign_up, users


@pytest.mark.parametrize("options", [{}, {"no_parameters": True}])
def test_writes_are_gone_when_the_work_raises(database: Database, options: dict[str, bool]) -> None:
    def write_and_fail(connection: Connection) -> None:
        sign_up(connection, **options)
        raise LookupError

    with pytest.raises(LookupError):
        database.transaction(ONE, write_and_fail)
    assert users(database) == []


def test_writes_of_many_rows_are_gone_when_the_work_raises(database: Database) -> None:
    rows = [{"user": ONE.hex, "title": str(number)} for number in range(2)]

    def write_and_fail(connection: Connection) -> None:
        sign_up(connection)
        connection.execute(text("INSERT INTO tasks (user_id, title) VALUES (:user, :title)"), rows)
        raise LookupError

    with pytest.raises(LookupError):
        database.transaction(ONE, write_and_fail)
    assert users(database) == []


@pytest.mark.parametrize("options", [{}, {"no_parameters": True}])
def test_writes_after_a_refused_statement_are_gone_too(database: Database, options: dict[str, bool]) -> None:
    def write_after_a_fault_and_fail(connection: Connection) -> None:
        with suppress(DBAPIError):
            connection.execute(text("SELEC 1"))
        sign_up(connection, **options)
        raise LookupError

    with pytest.raises((LookupError, DBAPIError)):
        database.transaction(ONE, write_after_a_fault_and_fail)
    assert users(database) == []


def test_a_swallowed_failure_does_not_pass_for_a_commit(postgres: Database) -> None:
    def swallow(connection: Connection) -> None:
        sign_up(connection)
        with suppress(IntegrityError):
            sign_up(connection)

    with pytest.raises(DBAPIError, match="cannot be committed"):
        postgres.transaction(ONE, swallow)
    assert users(postgres) == []


def test_writes_before_a_savepoint_outlive_its_rollback(database: Database) -> None:
    def write_and_take_half_back(connection: Connection) -> None:
        sign_up(connection)
        connection.execute(text("SAVEPOINT half"))
        connection.execute(text("UPDATE users SET subject = 'other'"))
        connection.execute(text("ROLLBACK TO SAVEPOINT half"))

    database.transaction(ONE, write_and_take_half_back)
    assert users(database) == ["1 %"]


def test_an_empty_savepoint_can_be_rolled_back(database: Database) -> None:
    def take_nothing_back(connection: Connection) -> int:
        connection.execute(text("SAVEPOINT empty"))
        connection.execute(text("ROLLBACK TO SAVEPOINT empty"))
        return answer(connection)

    assert database.transaction(ONE, take_nothing_back) == 42


def test_one_connection_is_kept_between_transactions(postgres: Database) -> None:
    assert len({postgres.transaction(ONE, pid_of) for _ in range(3)}) == 1


def test_a_process_has_one_database(monkeypatch: pytest.MonkeyPatch, postgres_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    kept = (process_database, settings)
    for cached in kept:
        cached.cache_clear()

    assert process_database() is process_database()
    assert process_database().transaction(ONE, answer) == 42
    process_database().dispose()
    for cached in kept:
        cached.cache_clear()


def test_a_connection_is_kept_after_a_faulty_statement(postgres: Database) -> None:
    kept = postgres.transaction(ONE, pid_of)
    with pytest.raises(DBAPIError):
        postgres.transaction(ONE, lambda connection: connection.execute(text("SELEC 1")))
    assert postgres.transaction(ONE, pid_of) == kept


def test_connect_opens_the_connection_that_is_kept(postgres: Database, administer: Administer) -> None:
    postgres.connect(within_seconds=5)
    administer("ALTER DATABASE DATABASE_NAME SET application_name = 'later'")
    name = postgres.transaction(ONE, lambda connection: connection.execute(text("SHOW application_name")).scalar_one())
    assert name == ""


def test_a_faulty_statement_is_not_repeated(database: Database) -> None:
    tries: list[None] = []

    def violate(connection: Connection) -> None:
        tries.append(None)
        connection.execute(text(f"INSERT INTO users (id, subject) VALUES ('{ONE}', NULL)"))

    with pytest.raises(IntegrityError):
        database.transaction(ONE, violate)
    assert len(tries) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT :secret FROM users WHERE",
        "SELECT :secret FROM users WHERE 'a' 'b' :secret",
        "SELECT CAST(:secret AS integer)",
        "INSERT INTO tasks (user_id, title) VALUES (md5(:secret)::uuid, :secret)",
        "INSERT INTO users (id, subject) SELECT gen_random_uuid(), :secret FROM generate_series(1, 2)",
    ],
)
def test_an_error_shows_no_text_of_a_person(postgres: Database, statement: str) -> None:
    secret = uuid.uuid4().hex
    with pytest.raises(DBAPIError) as error:
        as_owner(postgres, lambda connection: connection.execute(text(statement), {"secret": f"x{secret}"}))
    assert "SQLSTATE" in str(error.value)
    assert secret not in "".join(traceback.format_exception(error.value))


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("SELECT * FROM nowhere", "has not been migrated"),
        ("SELECT colour FROM users", "has not been migrated"),
        ("INSERT INTO users (colour) VALUES (1)", "has not been migrated"),
    ],
)
def test_a_database_that_was_not_migrated_says_so(database: Database, statement: str, cause: str) -> None:
    with pytest.raises(DatabaseUnusableError, match=cause):
        database.transaction(ONE, lambda connection: connection.execute(text(statement)))


def test_a_missing_privilege_is_named(postgres: Database, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DatabaseUnusableError, match="lacks a privilege"):
        postgres.transaction(ONE, lambda connection: connection.execute(text("SELECT * FROM pg_authid")))
    assert "permission denied for table pg_authid (SQLSTATE 42501)" in caplog.text


def test_a_failure_is_logged_once_a_try_without_password(
    connect_to: Connect, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = make_url(postgres_url).set(password="s%cret", query={"sslmode": "s%cret"})
    refused = connect_to(url.render_as_string(hide_password=False))
    with pytest.raises(DatabaseUnavailableError) as error:
        refused.transaction(ONE, answer, seconds_left=lambda: 0.3)
    messages = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert messages[0] == 'database failure in try 1: invalid sslmode value: "***"'
    assert "cret" not in caplog.text
    assert "cret" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("client_encoding", "LATIN1"),
        ("default_transaction_isolation", "serializable"),
        ("standard_conforming_strings", "off"),
        ("datestyle", "'German, DMY'"),
        ("statement_timeout", "1"),
        ("idle_in_transaction_session_timeout", "1"),
    ],
)
def test_a_misconfigured_database_changes_nothing(
    postgres: Database, administer: Administer, setting: str, value: str
) -> None:
    administer(f"ALTER DATABASE DATABASE_NAME SET {setting} = {value}")
    subject = "Grüße \\ 🧀 ' %"

    def work(connection: Connection) -> tuple[object, ...]:
        insert = text("INSERT INTO users (id, subject) VALUES (:id, :subject)")
        connection.execute(insert, {"id": str(ONE), "subject": subject})
        connection.execute(text("SELECT pg_sleep(0.02)"))
        row = connection.execute(
            text("SELECT subject, created_at, current_setting('transaction_isolation') FROM users")
        )
        return tuple(row.one())

    stored, created_at, isolation = postgres.transaction(ONE, work)
    assert (stored, isolation) == (subject, "read committed")
    assert hasattr(created_at, "tzinfo")


def test_the_environments_client_encoding_changes_nothing(postgres: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    letters = text("SELECT CAST(:letters AS text)")
    stored = postgres.transaction(ONE, lambda connection: connection.execute(letters, {"letters": "日本"}).scalar_one())
    assert stored == "日本"


def test_two_writers_on_sqlite_wait_for_each_other(tmp_path: Path, connect_to: Connect) -> None:
    databases = [connect_to(f"sqlite:///{tmp_path}/file.sqlite3") for _ in range(2)]
    databases[0].transaction(ONE, lambda connection: connection.execute(text("CREATE TABLE numbers (number INTEGER)")))

    def count_up(database: Database) -> None:
        for _ in range(50):
            database.transaction(
                ONE, lambda connection: connection.execute(text("INSERT INTO numbers SELECT count(*) FROM numbers"))
            )

    threads = [threading.Thread(target=count_up, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = databases[0].transaction(
        ONE, lambda connection: connection.execute(text("SELECT number FROM numbers ORDER BY number")).scalars().all()
    )
    assert numbers == list(range(100))
