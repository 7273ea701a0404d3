"""The identity of a transaction: one role and one person, which end with it, behind a pooler too."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial

import psycopg2
import pytest
from sqlalchemy import URL, Connection, make_url, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from local.pgbouncer import Pooler, pooler, program
from taskchat.database import Database
from taskchat.errors import DatabaseUnavailableError
from taskchat.models import CONVERSATIONS, TASKS, TURNS, USERS, TurnStatus, utc_now
from tests.support.owner import as_owner
from tests.taskchat.database.conftest import ONE, Connect, answer

behind_pooler = pytest.mark.skipif(
    program() is None, reason="PgBouncer is not installed (Debian: apt install pgbouncer)"
)

WHO = text("SELECT current_user <> session_user, current_user::text, current_setting('taskchat.user_id', true)")
PEOPLE = 300
CLIENTS = 12
CONNECTIONS = 4


def who(connection: Connection) -> tuple[bool, str, str | None]:
    return tuple(connection.execute(WHO).one())


def add_turn(database: Database, user_id: uuid.UUID) -> uuid.UUID:
    """Return the id of a turn of a new user."""
    turn_id = uuid.uuid4()

    def work(connection: Connection) -> None:
        # A session may be killed after its COMMIT, so that this runs again.
        connection.execute(insert(USERS).values(id=user_id, subject=str(user_id)).on_conflict_do_nothing())
        conversation_id = connection.execute(
            insert(CONVERSATIONS).values(user_id=user_id).returning(CONVERSATIONS.c.id)
        ).scalar_one()
        turn = {"id": turn_id, "user_id": user_id, "conversation_id": conversation_id, "status": TurnStatus.FINISHED}
        more = {"idempotency_key": "key", "request_hash": "", "attempt": 1, "lease_expires_at": utc_now()}
        connection.execute(insert(TURNS).values(turn | more).on_conflict_do_nothing())

    database.transaction(user_id, work)
    return turn_id


def test_each_transaction_has_a_role_and_a_person(postgres: Database) -> None:
    turn_id = add_turn(postgres, ONE)

    assert postgres.transaction(ONE, who) == (True, "taskchat_app", str(ONE))
    assert postgres.turn_transaction(turn_id, who) == (True, "taskchat_app", str(ONE))
    assert postgres.turn_transaction(uuid.uuid4(), who) == (True, "taskchat_app", "")
    assert postgres.sweep_transaction(who) == (True, "taskchat_sweep", "")


def test_a_connection_without_an_identity_sees_nothing(postgres: Database) -> None:
    add_turn(postgres, ONE)

    with postgres.engine().begin() as connection:
        assert who(connection) == (True, "taskchat_app", "")
        assert connection.execute(select(TURNS.c.id)).all() == []


@pytest.mark.parametrize("forged", ["'; RESET ROLE; --", "\\'; RESET ROLE; --", "%(id)s"])
def test_an_id_cannot_carry_a_statement(postgres: Database, forged: str) -> None:
    anything: Callable[..., tuple[bool, str, str | None]] = postgres.transaction

    assert anything(forged, who) == (True, "taskchat_app", forged)
    with pytest.raises(DBAPIError):
        anything(forged, lambda connection: connection.execute(select(TASKS.c.id)).all())


def commit(database: Database) -> None:
    database.transaction(ONE, answer)


def fail(database: Database) -> None:
    with pytest.raises(LookupError):
        database.transaction(ONE, lambda _: (_ for _ in ()).throw(LookupError))


def break_a_statement(database: Database) -> None:
    with pytest.raises(DBAPIError):
        database.transaction(ONE, lambda connection: connection.execute(text("SELEC 1")))


def exceed_the_deadline(database: Database) -> None:
    with pytest.raises(DatabaseUnavailableError):
        database.transaction(ONE, lambda connection: connection.execute(text("SELECT pg_sleep(30)")))


def vanish(database: Database) -> None:
    """Close the socket within the transaction."""
    with suppress(DBAPIError), database.engine().connect() as connection:
        answer(connection)
        connection.connection.dbapi_connection.close()  # type: ignore[union-attr]


def sweep(database: Database) -> None:
    database.sweep_transaction(answer)


@behind_pooler
@pytest.mark.parametrize("end", [commit, fail, break_a_statement, exceed_the_deadline, vanish, sweep])
def test_the_identity_does_not_reach_the_next_client(
    connect_to: Connect, narrow_pooler: Pooler, postgres_url: str, end: Callable[[Database], None]
) -> None:
    url = narrow_pooler.to(make_url(postgres_url))
    end(connect_to(url, deadline_seconds=0.2))

    with closing(psycopg2.connect(url)) as next_client, next_client.cursor() as cursor:
        cursor.execute(str(WHO))
        has_role, _role, user_id = cursor.fetchone() or ()
        assert (has_role, user_id or "") == (False, "")


@behind_pooler
def test_a_crowd_on_four_connections_shares_nothing(
    connect_to: Connect, postgres_server_url: URL, postgres_url: str
) -> None:
    """People take turns on the connections, some of their transactions fail, and some sessions are killed."""
    postgres = connect_to(postgres_url)
    same = "datname = current_database() AND pid <> pg_backend_pid()"
    kill = text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {same} LIMIT 1")
    leaks: list[object] = []
    lock = threading.Lock()

    def act(user_id: uuid.UUID, connection: Connection) -> None:
        connection.execute(insert(TASKS).values(user_id=user_id, title=str(user_id)))
        found = connection.execute(select(TASKS.c.user_id)).scalars()
        leaks.extend(owner for owner in found if owner != user_id)
        if user_id.int % 5 == 0:
            connection.execute(text("SELEC 1"))

    def serve(client: int) -> int:
        database, served = connect_to(url), 0
        for user_id in map(uuid.UUID, (f"{number:032x}" for number in range(1 + client, 1 + PEOPLE, CLIENTS))):
            turn_id = add_turn(database, user_id)
            with suppress(DBAPIError):
                database.transaction(user_id, partial(act, user_id))
            if user_id.int % 40 == 0:
                with lock:
                    as_owner(postgres, lambda connection: connection.execute(kill))
            if database.turn_transaction(turn_id, who)[2] != str(user_id):
                leaks.append(turn_id)
            served += 1
        return served

    with pooler(postgres_server_url, pool_size=CONNECTIONS) as running:
        url = running.to(make_url(postgres_url))
        with ThreadPoolExecutor(CLIENTS) as pool:
            assert sum(pool.map(serve, range(CLIENTS))) == PEOPLE

    assert leaks == []
    tasks = as_owner(postgres, lambda connection: connection.execute(select(TASKS.c.user_id, TASKS.c.title)).all())
    assert len(tasks) >= PEOPLE - PEOPLE // 5
    assert all(str(task.user_id) == task.title for task in tasks)
