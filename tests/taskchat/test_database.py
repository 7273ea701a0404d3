"""The engine and its transactions, on connections that are lost, refused or silent."""

import socket
import threading
import traceback
import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from taskchat.database import Database, driver_url
from taskchat.errors import DatabaseUnavailableError
from taskchat.settings import SettingsError


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_the_urls_that_neon_hands_out_mean_psycopg2_and_keep_their_parameters(scheme: str) -> None:
    url = driver_url(f"{scheme}://ann:p%40ss@host-pooler.example/db?sslmode=require&channel_binding=require")
    assert url.drivername == "postgresql+psycopg2"
    assert url.password == "p@ss"
    assert dict(url.query) == {"sslmode": "require", "channel_binding": "require"}


@pytest.mark.parametrize(
    "url", ["postgresql://ann:pa@ss:hunter2@host/db", "postgresql://ann@host:hunter2/db", "hunter2", "://hunter2"]
)
def test_an_error_about_a_url_shows_no_part_of_it(url: str) -> None:
    with pytest.raises(SettingsError) as error:
        driver_url(url)
    assert "hunter2" not in "".join(traceback.format_exception(error.value, chain=True))


def sign_up(connection: Connection, number: int, **options: bool) -> None:
    insert = text(f"INSERT INTO users (id, subject) VALUES ('{number:032x}', '{number} %')")
    connection.execute(insert, execution_options=options)


def users(database: Database) -> list[str]:
    subjects = text("SELECT subject FROM users")
    return database.transaction(lambda connection: list(connection.execute(subjects).scalars()))


def test_what_a_transaction_wrote_is_gone_when_it_raises(database: Database) -> None:
    def write_and_fail(connection: Connection) -> None:
        sign_up(connection, 1)
        raise LookupError

    with pytest.raises(LookupError):
        database.transaction(write_and_fail)
    assert users(database) == []


def test_what_many_rows_at_once_wrote_first_is_gone_when_it_raises(database: Database) -> None:
    rows = [{"id": f"{number:032x}", "subject": str(number)} for number in range(2)]

    def write_and_fail(connection: Connection) -> None:
        connection.execute(text("INSERT INTO users (id, subject) VALUES (:id, :subject)"), rows)
        raise LookupError

    with pytest.raises(LookupError):
        database.transaction(write_and_fail)
    assert users(database) == []


@pytest.mark.parametrize("options", [{}, {"no_parameters": True}])
def test_what_follows_a_statement_that_was_refused_is_still_of_the_transaction(
    database: Database, options: dict[str, bool]
) -> None:
    def write_after_a_fault_and_fail(connection: Connection) -> None:
        with suppress(DBAPIError):
            connection.execute(text("SELEC 1"))
        sign_up(connection, 1, **options)
        raise LookupError

    with pytest.raises((LookupError, DBAPIError)):
        database.transaction(write_after_a_fault_and_fail)
    assert users(database) == []


def test_what_a_statement_without_parameters_wrote_is_gone_when_it_raises(database: Database) -> None:
    def write_and_fail(connection: Connection) -> None:
        sign_up(connection, 1, no_parameters=True)
        raise LookupError

    with pytest.raises(LookupError):
        database.transaction(write_and_fail)
    assert users(database) == []


def test_what_was_written_before_a_savepoint_stays_when_it_is_rolled_back(database: Database) -> None:
    def write_and_take_half_back(connection: Connection) -> None:
        sign_up(connection, 1)
        connection.execute(text("SAVEPOINT half"))
        sign_up(connection, 2)
        connection.execute(text("ROLLBACK TO SAVEPOINT half"))

    database.transaction(write_and_take_half_back)
    assert users(database) == ["1 %"]


def test_a_savepoint_in_which_nothing_happened_can_be_rolled_back(database: Database) -> None:
    def take_nothing_back(connection: Connection) -> object:
        connection.execute(text("SAVEPOINT empty"))
        connection.execute(text("ROLLBACK TO SAVEPOINT empty"))
        return connection.execute(text("SELECT 42")).scalar()

    assert database.transaction(take_nothing_back) == 42


def test_a_transaction_that_lost_its_connection_runs_once_more_on_a_new_one(postgres_url: str) -> None:
    database, killer = Database(lambda: postgres_url), Database(lambda: postgres_url)
    tries: list[int] = []

    def lose_the_connection_once(connection: Connection) -> int:
        pid = int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        tries.append(pid)
        if len(tries) == 1:
            killer.transaction(lambda other: other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}))
        return int(connection.execute(text("SELECT 42")).scalar_one())

    assert database.transaction(lose_the_connection_once) == 42
    assert len(set(tries)) == 2
    database.dispose()
    killer.dispose()


def test_a_kept_connection_that_died_while_the_function_was_frozen_is_replaced(postgres_url: str) -> None:
    database, killer = Database(lambda: postgres_url), Database(lambda: postgres_url)
    pid = database.transaction(lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
    killer.transaction(lambda connection: connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid}))
    assert database.transaction(lambda connection: connection.execute(text("SELECT 42")).scalar_one()) == 42
    database.dispose()
    killer.dispose()


def test_one_connection_is_kept_between_transactions(postgres_url: str) -> None:
    database = Database(lambda: postgres_url)
    pids = {
        database.transaction(lambda connection: connection.execute(text("SELECT pg_backend_pid()")).scalar_one())
        for _ in range(3)
    }
    assert len(pids) == 1
    database.dispose()


def test_what_the_work_itself_did_wrong_is_not_tried_again(database: Database) -> None:
    tries: list[None] = []

    def violate(connection: Connection) -> None:
        tries.append(None)
        connection.execute(text("INSERT INTO users (id) VALUES (NULL)"))

    with pytest.raises(IntegrityError):
        database.transaction(violate)
    assert len(tries) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT :secret FROM nowhere",
        "SELECT CAST(:secret AS integer)",
        "INSERT INTO tasks (user_id, title) VALUES (md5(:secret)::uuid, :secret)",
        "INSERT INTO users (id, subject) SELECT gen_random_uuid(), :secret FROM generate_series(1, 2)",
    ],
)
def test_an_error_does_not_show_what_a_person_wrote(postgres_url: str, statement: str) -> None:
    database = Database(lambda: postgres_url)
    secret = uuid.uuid4().hex
    with pytest.raises(DBAPIError) as error:
        database.transaction(lambda connection: connection.execute(text(statement), {"secret": f"x{secret}"}))
    assert "SQLSTATE" in str(error.value)
    assert secret not in "".join(traceback.format_exception(error.value))
    database.dispose()


def test_a_server_that_is_not_there_is_a_database_that_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    database = Database(lambda: f"postgresql://ann@127.0.0.1:{port}/db")
    with pytest.raises(DatabaseUnavailableError) as error:
        database.transaction(lambda connection: connection.execute(text("SELECT 1")))
    assert error.value.retry_after_seconds >= 1


def test_a_server_that_falls_silent_in_a_statement_counts_as_gone(postgres_url: str) -> None:
    database = Database(lambda: postgres_url, deadline_seconds=0.2)
    with pytest.raises(DatabaseUnavailableError):
        database.transaction(lambda connection: connection.execute(text("SELECT pg_sleep(30)")))
    database.dispose()


def test_a_rotated_secret_is_taken_up_after_the_old_one_was_refused(postgres_url: str) -> None:
    refused = make_url(postgres_url).set(password="old").render_as_string(hide_password=False)
    urls = iter([refused, postgres_url])
    database = Database(lambda: next(urls))
    assert database.transaction(lambda connection: connection.execute(text("SELECT 42")).scalar_one()) == 42
    database.dispose()


def test_two_writers_on_sqlite_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/file.sqlite3"
    databases = [Database(lambda: url) for _ in range(2)]
    databases[0].transaction(lambda connection: connection.execute(text("CREATE TABLE numbers (number INTEGER)")))

    def count_up(database: Database) -> None:
        for _ in range(50):
            database.transaction(
                lambda connection: connection.execute(text("INSERT INTO numbers SELECT count(*) FROM numbers"))
            )

    threads = [threading.Thread(target=count_up, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = databases[0].transaction(
        lambda connection: connection.execute(text("SELECT number FROM numbers ORDER BY number")).scalars().all()
    )
    assert numbers == list(range(100))
    for database in databases:
        database.dispose()
