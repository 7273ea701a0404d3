"""Trouble that passes: repeated within the time that is left, and given up when that is used up."""

import itertools
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import IntegrityError

from taskchat.database import Database, transactions
from taskchat.errors import DatabaseUnavailableError
from tests.support.owner import as_owner
from tests.support.relay import Relay
from tests.taskchat.database.conftest import ONE, Administer, Connect, answer, pid_of, sign_up, users

TERMINATE = text("SELECT pg_terminate_backend(:pid, 5000)")


@contextmanager
def takes_at_most(seconds: float) -> Iterator[None]:
    begin = time.monotonic()
    yield
    assert time.monotonic() - begin <= seconds


def terminate(killer: Database, pid: int) -> None:
    as_owner(killer, lambda connection: connection.execute(TERMINATE, {"pid": pid}))


def test_a_lost_connection_is_replaced_and_the_work_repeated(connect_to: Connect, postgres_url: str) -> None:
    database, killer = connect_to(postgres_url), connect_to(postgres_url)
    sessions: list[int] = []

    def lose_the_connection_twice(connection: Connection) -> int:
        sessions.append(pid_of(connection))
        if len(sessions) <= 2:
            terminate(killer, sessions[-1])
        return answer(connection)

    assert database.transaction(ONE, lose_the_connection_twice) == 42
    assert len(set(sessions)) == 3


def test_a_connection_that_died_in_a_freeze_is_replaced(connect_to: Connect, postgres_url: str) -> None:
    database, killer = connect_to(postgres_url), connect_to(postgres_url)
    terminate(killer, database.transaction(ONE, pid_of))

    with takes_at_most(5):
        assert database.transaction(ONE, answer) == 42


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_a_server_that_is_away_for_a_moment_is_waited_for(behind_wire: Database, wire: Relay, seconds: float) -> None:
    assert behind_wire.transaction(ONE, answer) == 42
    wire.close_for(seconds)

    with takes_at_most(seconds + 5):
        assert behind_wire.transaction(ONE, answer, seconds_left=lambda: 20.0) == 42


def test_a_server_that_stays_away_is_given_up_in_time(behind_wire: Database, wire: Relay) -> None:
    wire.close()

    with takes_at_most(1), pytest.raises(DatabaseUnavailableError, match="does not answer") as error:
        behind_wire.transaction(ONE, answer, seconds_left=lambda: 0.5)
    assert error.value.retry_after_seconds >= 1


def test_pauses_grow_and_differ() -> None:
    pauses = list(itertools.islice(transactions._pauses(), 10))
    others = list(itertools.islice(transactions._pauses(), 10))

    assert pauses[:2] == [0.0, 0.0]
    assert pauses[2] < pauses[4] < pauses[6]
    assert 0.5 <= pauses[-1] <= 1.0
    assert pauses[2:] != others[2:]


def test_a_silent_server_is_given_up_in_time(
    behind_wire: Database, wire: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    assert behind_wire.transaction(ONE, answer) == 42
    wire.stall()

    with takes_at_most(2.5), pytest.raises(DatabaseUnavailableError):
        behind_wire.transaction(ONE, answer, seconds_left=lambda: 1.5)
    assert [record.getMessage() for record in caplog.records] == [
        "database failure in try 1: the server did not answer before the deadline"
    ]


def test_a_slow_connection_is_not_a_slow_statement(connect_to: Connect, postgres_url: str, wire: Relay) -> None:
    url = make_url(postgres_url).set(port=wire.port).render_as_string(hide_password=False)
    database = connect_to(url, deadline_seconds=0.1)
    wire.stall()
    threading.Timer(1.0, wire.flow).start()

    database.connect(within_seconds=5)
    assert database.transaction(ONE, answer) == 42


def test_a_server_silent_from_the_start_is_given_up_in_time(connect_to: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        database = connect_to(f"postgresql://ann@127.0.0.1:{server.getsockname()[1]}/db")
        with takes_at_most(1.5), pytest.raises(DatabaseUnavailableError):
            database.transaction(ONE, answer, seconds_left=lambda: 0.7)
        with takes_at_most(1.5), pytest.raises(DatabaseUnavailableError):
            database.connect(within_seconds=0.7)


def test_connecting_is_tried_once(connect_to: Connect, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with takes_at_most(1), pytest.raises(DatabaseUnavailableError):
        connect_to(f"postgresql://ann@127.0.0.1:{port}/db").connect(within_seconds=5)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.1])
def test_without_time_left_nothing_is_begun(database: Database, seconds: float) -> None:
    with pytest.raises(DatabaseUnavailableError, match="no time left"):
        database.transaction(ONE, lambda _: pytest.fail("it was begun"), seconds_left=lambda: seconds)


def test_a_slow_statement_is_cancelled_and_not_repeated(connect_to: Connect, postgres_url: str) -> None:
    database, watcher = connect_to(postgres_url, deadline_seconds=0.2), connect_to(postgres_url)
    sessions: list[int] = []

    def sleep(connection: Connection) -> None:
        sessions.append(pid_of(connection))
        connection.execute(text("SELECT pg_sleep(30)"))

    with takes_at_most(5), pytest.raises(DatabaseUnavailableError, match="took too long"):
        database.transaction(ONE, sleep)
    assert len(sessions) == 1
    assert active_statements(watcher) == []
    assert database.transaction(ONE, pid_of) == sessions[0]


def test_the_server_works_no_longer_than_there_is_time(connect_to: Connect, postgres_url: str) -> None:
    database, watcher = connect_to(postgres_url), connect_to(postgres_url)

    with takes_at_most(3), pytest.raises(DatabaseUnavailableError):
        database.transaction(
            ONE, lambda connection: connection.execute(text("SELECT pg_sleep(30)")), seconds_left=lambda: 1.0
        )
    assert active_statements(watcher) == []


def active_statements(watcher: Database) -> list[str]:
    others = "SELECT query FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND query ~ 'sleep'"
    return as_owner(watcher, lambda connection: list(connection.execute(text(others)).scalars()))


def test_a_frozen_transaction_is_ended_by_the_server(connect_to: Connect, postgres_url: str) -> None:
    database, other = connect_to(postgres_url, deadline_seconds=0.3), connect_to(postgres_url)
    tries: list[None] = []

    def freeze_once(connection: Connection) -> None:
        sign_up(connection)
        tries.append(None)
        if len(tries) == 1:
            # Waits for the frozen transaction, which holds the same key.
            other.transaction(ONE, sign_up)

    with pytest.raises(IntegrityError, match="SQLSTATE 23505"):
        database.transaction(ONE, freeze_once)
    assert users(other) == ["1 %"]
    assert len(tries) == 1


def test_a_lock_is_waited_for_by_repetition(connect_to: Connect, postgres_url: str) -> None:
    holder, database = connect_to(postgres_url), connect_to(postgres_url)
    holder.transaction(ONE, sign_up)
    released = threading.Event()
    tries: list[int] = []

    def lock(connection: Connection) -> None:
        tries.append(pid_of(connection))
        if len(tries) == 3:
            released.set()
        connection.execute(text("SET LOCAL lock_timeout = 10"))
        connection.execute(text("SELECT * FROM users FOR UPDATE"))

    def hold(connection: Connection) -> None:
        connection.execute(text("SELECT * FROM users FOR UPDATE"))
        thread.start()
        assert released.wait(5)

    thread = threading.Thread(target=database.transaction, args=(ONE, lock))
    holder.transaction(ONE, hold)
    thread.join()
    assert len(tries) >= 3
    assert len(set(tries)) == 1


def test_a_busy_file_of_sqlite_is_given_up_in_time(tmp_path: Path, connect_to: Connect) -> None:
    path = tmp_path / "busy.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        database = connect_to(f"sqlite:///{path}")
        with takes_at_most(2), pytest.raises(DatabaseUnavailableError):
            database.transaction(ONE, answer, seconds_left=lambda: 0.5)
        other.execute("COMMIT")
        assert database.transaction(ONE, answer) == 42


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("seconds_left", "fewest", "most"), [(60.0, 5_000, 5_000), (2.0, 1_000, 2_000)])
def test_sqlite_waits_for_locks_within_the_time_left(
    database: Database, seconds_left: float, fewest: int, most: int
) -> None:
    timeout = database.transaction(
        ONE,
        lambda connection: connection.execute(text("PRAGMA busy_timeout")).scalar_one(),
        seconds_left=lambda: seconds_left,
    )
    assert fewest <= timeout <= most


def test_threads_wait_for_the_one_connection(postgres: Database) -> None:
    def ask_from_another_thread(connection: Connection) -> int:
        with ThreadPoolExecutor(max_workers=1) as thread, takes_at_most(3), pytest.raises(DatabaseUnavailableError):
            thread.submit(postgres.transaction, ONE, answer, seconds_left=lambda: 0.3).result()
        return pid_of(connection)

    assert postgres.transaction(ONE, ask_from_another_thread) == postgres.transaction(ONE, pid_of)


def test_a_rotated_secret_is_taken_up_after_a_refusal(postgres_url: str) -> None:
    refused = make_url(postgres_url).set(password="old").render_as_string(hide_password=False)
    urls = iter([refused, postgres_url])
    database = Database(lambda: next(urls))
    assert database.transaction(ONE, answer) == 42
    database.dispose()


def set_read_only(administer: Administer, value: str) -> None:
    administer(f"ALTER DATABASE DATABASE_NAME SET default_transaction_read_only = {value}")


def test_a_read_only_window_ends_for_a_warm_instance(
    postgres: Database, administer: Administer, caplog: pytest.LogCaptureFixture
) -> None:
    set_read_only(administer, "on")
    with pytest.raises(DatabaseUnavailableError, match="read-only"):
        postgres.transaction(ONE, sign_up, seconds_left=lambda: 0.5)
    assert "read-only transaction (SQLSTATE 25006)" in caplog.text
    assert postgres.transaction(ONE, answer) == 42
    set_read_only(administer, "off")

    postgres.transaction(ONE, sign_up)
    assert users(postgres) == ["1 %"]


def test_a_read_only_moment_is_waited_for(postgres: Database, administer: Administer) -> None:
    set_read_only(administer, "on")
    tries: list[None] = []

    def write(connection: Connection) -> None:
        tries.append(None)
        if len(tries) == 3:
            set_read_only(administer, "off")
        sign_up(connection)

    postgres.transaction(ONE, write)
    assert (users(postgres), len(tries)) == (["1 %"], 4)


RAISE = "DO $$ BEGIN RAISE EXCEPTION 'said by the server' USING ERRCODE = '{}'; END $$"


@pytest.mark.parametrize(
    ("state", "cause", "tries", "sessions"),
    [
        ("53100", "disk is full", 2, 2),
        ("53200", "does not answer", 4, 4),
        ("57P03", "does not answer", 4, 4),
        ("40001", "does not answer", 4, 1),
        ("55P03", "could not lock", 4, 1),
        ("53400", "more resources", 1, 1),
    ],
)
def test_states_of_trouble_end_as_unavailable(
    postgres: Database, monkeypatch: pytest.MonkeyPatch, state: str, cause: str, tries: int, sessions: int
) -> None:
    monkeypatch.setattr(transactions, "_pauses", lambda: iter([0.0] * 4))
    seen: list[int] = []

    def work(connection: Connection) -> None:
        seen.append(pid_of(connection))
        connection.execute(text(RAISE.format(state)))

    with pytest.raises(DatabaseUnavailableError, match=cause):
        postgres.transaction(ONE, work)
    assert (len(seen), len(set(seen))) == (tries, sessions)


@pytest.mark.parametrize("commits", [True, False])
def test_a_lost_answer_to_commit_is_told(behind_wire: Database, wire: Relay, postgres: Database, commits: bool) -> None:
    dialect = behind_wire.engine().dialect
    commit: Callable[[Any], None] = dialect.do_commit

    def lose_the_answer(connection: Any) -> None:
        if commits:
            commit(connection)
        wire.close()
        raise psycopg2.OperationalError("server closed the connection unexpectedly")

    dialect.do_commit = lose_the_answer  # type: ignore[method-assign, assignment]
    with pytest.raises(DatabaseUnavailableError, match=r"\. The change may have been made\.$"):
        behind_wire.transaction(ONE, sign_up, seconds_left=lambda: 0.5)
    assert users(postgres) == ["1 %"] * commits


def test_a_loss_before_commit_changes_nothing_for_sure(connect_to: Connect, postgres_url: str) -> None:
    database, killer = connect_to(postgres_url), connect_to(postgres_url)

    def lose_the_connection(connection: Connection) -> None:
        sign_up(connection)
        terminate(killer, pid_of(connection))
        answer(connection)

    with pytest.raises(DatabaseUnavailableError) as error:
        database.transaction(ONE, lose_the_connection, seconds_left=lambda: 0.5)
    assert "may have been made" not in str(error.value)
    assert users(killer) == []
