"""Transactions through PgBouncer in transaction mode, which is what Neon's pooled URLs lead to."""

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import Connection, make_url, text

from local.pgbouncer import Pooler, program
from taskchat.database import Database, postgres
from taskchat.errors import DatabaseUnavailableError
from tests.support.owner import as_owner
from tests.support.progress import Progress
from tests.taskchat.database.conftest import ONE, Administer, Connect, answer, sign_up, users

pytestmark = pytest.mark.skipif(program() is None, reason="PgBouncer is not installed (Debian: apt install pgbouncer)")

SETTINGS = ("statement_timeout", "idle_in_transaction_session_timeout", "default_transaction_read_only")


@pytest.fixture
def pooled_url(narrow_pooler: Pooler, postgres_url: str) -> str:
    """Return the URL of the test's database through the pooler."""
    return narrow_pooler.to(make_url(postgres_url))


@pytest.fixture
def pooled(connect_to: Connect, pooled_url: str) -> Database:
    """Return a `Database` behind the pooler."""
    return connect_to(pooled_url)


def test_settings_do_not_leak_to_the_next_client(pooled: Database, pooled_url: str) -> None:
    pooled.transaction(ONE, sign_up)

    with closing(psycopg2.connect(pooled_url)) as next_client, next_client.cursor() as cursor:
        seen = []
        for name in SETTINGS:
            cursor.execute(f"SHOW {name}")
            seen.append(cursor.fetchone())

    assert seen == [("0",), ("0",), ("off",)]


def test_a_pooler_that_is_away_for_a_moment_is_waited_for(pooled: Database, narrow_pooler: Pooler) -> None:
    tries: list[None] = []

    def work(connection: Connection) -> None:
        sign_up(connection)
        tries.append(None)
        if len(tries) == 1:
            threads.append(narrow_pooler.restart(away_seconds=0.1))
        assert answer(connection) == 42

    threads: list[threading.Thread] = []
    begin = time.monotonic()
    pooled.transaction(ONE, work)

    assert time.monotonic() - begin < 5
    assert users(pooled) == ["1 %"]
    [thread] = threads
    thread.join()


def test_work_goes_on_while_the_pooler_restarts(connect_to: Connect, pooled_url: str, narrow_pooler: Pooler) -> None:
    insert = text("INSERT INTO users (id, subject) VALUES (:id, :subject) ON CONFLICT DO NOTHING")
    restarts_done = threading.Event()
    written: list[str] = []
    progress = Progress()

    def write(worker: int) -> None:
        database = connect_to(pooled_url)
        number = 0
        while not restarts_done.is_set():
            subject = f"{worker} {number}"
            row = {"id": str(uuid.uuid5(ONE, subject)), "subject": subject}
            database.transaction(uuid.UUID(row["id"]), lambda connection: connection.execute(insert, row))  # noqa: B023
            written.append(subject)
            progress.add()
            number += 1

    workers = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for thread in workers:
        thread.start()
    try:
        for _ in range(3):
            progress.wait_for_more(len(workers))
            narrow_pooler.restart(away_seconds=0.1).join()
        progress.wait_for_more(len(workers))
    finally:
        restarts_done.set()
        for thread in workers:
            thread.join()

    assert users(connect_to(pooled_url)) == sorted(written)


def test_a_slow_statement_is_cancelled_through_the_pooler(connect_to: Connect, pooled_url: str) -> None:
    impatient, next_client = connect_to(pooled_url, deadline_seconds=0.2), connect_to(pooled_url)

    with pytest.raises(DatabaseUnavailableError, match="took too long"):
        impatient.transaction(ONE, lambda connection: connection.execute(text("SELECT pg_sleep(30)")))

    # The pool has one connection, so this would wait for the statement.
    assert next_client.transaction(ONE, answer, seconds_left=lambda: 3.0) == 42


def test_a_queue_at_the_pooler_is_given_up_in_time(connect_to: Connect, pooled_url: str) -> None:
    holder, waiting = connect_to(pooled_url), connect_to(pooled_url)

    def hold(connection: Connection) -> None:
        answer(connection)
        begin = time.monotonic()
        with pytest.raises(DatabaseUnavailableError):
            waiting.transaction(ONE, answer, seconds_left=lambda: 0.7)
        assert time.monotonic() - begin < 2

    holder.transaction(ONE, hold)
    assert waiting.transaction(ONE, answer) == 42


@pytest.fixture
def keeps_read_only_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a read-only session to the pooler."""
    monkeypatch.setattr(postgres, "end_read_only_session", lambda _connection: None)


def read_only_window(pooled: Database, administer: Administer) -> None:
    """Let the pooler open a session while the database is read-only, and end the window."""
    administer("ALTER DATABASE DATABASE_NAME SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailableError, match="read-only"):
        pooled.transaction(ONE, sign_up, seconds_left=lambda: 0.5)
    administer("ALTER DATABASE DATABASE_NAME RESET default_transaction_read_only")


def test_a_read_only_session_does_not_stay_in_the_pool(pooled: Database, administer: Administer) -> None:
    read_only_window(pooled, administer)

    pooled.transaction(ONE, sign_up)
    assert users(pooled) == ["1 %"]


@pytest.mark.usefixtures("keeps_read_only_sessions")
def test_a_pooler_would_keep_a_read_only_session(pooled: Database, administer: Administer) -> None:
    read_only_window(pooled, administer)

    with pytest.raises(DatabaseUnavailableError, match="read-only"):
        pooled.transaction(ONE, sign_up, seconds_left=lambda: 0.5)


@pytest.mark.parametrize("setting", ["client_encoding = LATIN1", "default_transaction_isolation = serializable"])
def test_a_misconfigured_database_changes_nothing_when_pooled(
    pooled: Database, administer: Administer, setting: str
) -> None:
    administer(f"ALTER DATABASE DATABASE_NAME SET {setting}")

    def work(connection: Connection) -> tuple[str, str]:
        letters = connection.execute(text("SELECT CAST('日本' AS text)")).scalar_one()
        return letters, connection.execute(text("SHOW transaction_isolation")).scalar_one()

    assert pooled.transaction(ONE, work) == ("日本", "read committed")


def test_a_killed_session_is_replaced(pooled: Database, connect_to: Connect, postgres_url: str) -> None:
    terminate = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )
    killer = connect_to(postgres_url)
    tries: list[Callable[[], None]] = []

    def work(connection: Connection) -> int:
        if len(tries) < 2:
            tries.append(lambda: None)
            as_owner(killer, lambda other: other.execute(terminate))
        return answer(connection)

    assert pooled.transaction(ONE, work) == 42
