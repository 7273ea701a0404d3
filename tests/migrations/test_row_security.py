"""Row-level security on PostgreSQL: the functions' roles at a prompt, with statements that name no user."""

import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from local.postgres import postgres_database
from taskchat.database import driver_url

ANN, BOB = uuid.UUID(int=1), uuid.UUID(int=2)
ANNS_TURN, BOBS_TURN = uuid.UUID(int=3), uuid.UUID(int=4)
TABLES = ("users", "tasks", "conversations", "turns", "messages")
SEED = f"""
INSERT INTO users (id, subject) VALUES ('{ANN}', 'ann'), ('{BOB}', 'bob');
INSERT INTO tasks (user_id, title) SELECT id, subject FROM users;
INSERT INTO conversations (id, user_id, title) VALUES (101, '{ANN}', 'ann'), (102, '{BOB}', 'bob');
INSERT INTO turns (id, user_id, conversation_id, idempotency_key, request_hash, status, attempt, lease_expires_at)
VALUES ('{ANNS_TURN}', '{ANN}', 101, 'key', '', 'finished', 1, now()),
       ('{BOBS_TURN}', '{BOB}', 102, 'key', '', 'finished', 1, now());
INSERT INTO messages (conversation_id, turn_id, role, content)
SELECT conversation_id, turns.id, 'user', subject FROM turns JOIN users ON users.id = user_id;
"""
REFUSED = r"permission denied|must be owner|row-level security|only roles with|must be superuser"
TURN = (
    "INSERT INTO turns (id, user_id, conversation_id, idempotency_key, request_hash, status, attempt, lease_expires_at)"
    " VALUES (gen_random_uuid(), '{user}', {conversation}, 'new', '', 'running', 1, now())"
)


@pytest.fixture(scope="module")
def engine(postgres_server_url: URL, postgres_template: URL) -> Iterator[Engine]:
    """Return an engine on a database with rows of Ann and Bob, in which nothing more is committed."""
    with postgres_database(postgres_server_url, postgres_template) as url:
        engine = create_engine(driver_url(url.render_as_string(hide_password=False)))
        with engine.begin() as connection:
            connection.exec_driver_sql(SEED)
        yield engine
        engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """Return a connection of the owner, which is rolled back."""
    with engine.connect() as connection:
        yield connection


def become(connection: Connection, user_id: uuid.UUID | str, role: str = "taskchat_app") -> None:
    connection.exec_driver_sql(f"SET LOCAL ROLE {role}; SET LOCAL taskchat.user_id = '{user_id}'")


def seen(connection: Connection) -> dict[str, int]:
    return {table: connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in TABLES}


@pytest.mark.parametrize(("user_id", "rows"), [(ANN, 1), (BOB, 1), (uuid.UUID(int=9), 0), ("", 0)])
def test_a_person_sees_their_own_rows_only(connection: Connection, user_id: uuid.UUID | str, rows: int) -> None:
    become(connection, user_id)

    assert seen(connection) == dict.fromkeys(TABLES, rows)


def test_a_new_session_without_an_id_sees_nothing(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.detach()
        connection.exec_driver_sql("SET ROLE taskchat_app")
        assert seen(connection) == dict.fromkeys(TABLES, 0)


def test_the_owner_sees_everything(connection: Connection) -> None:
    """Migrations, and the release before, run as the owner."""
    assert seen(connection) == dict.fromkeys(TABLES, 2)


@pytest.mark.parametrize("table", ["users", "tasks", "conversations"])
def test_changes_reach_own_rows_only(connection: Connection, table: str) -> None:
    become(connection, ANN)
    column = {"users": "email", "tasks": "title", "conversations": "title"}[table]

    assert connection.exec_driver_sql(f"UPDATE {table} SET {column} = 'changed'").rowcount == 1
    assert connection.exec_driver_sql(f"DELETE FROM {table}").rowcount == 1
    connection.exec_driver_sql("RESET ROLE")
    remaining = connection.execute(text(f"SELECT {column} FROM {table}")).scalars().all()
    assert remaining == ([None] if table == "users" else ["bob"])


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO users (id, subject) VALUES ('{uuid.UUID(int=9)}', 'new')",
        f"INSERT INTO tasks (user_id, title) VALUES ('{BOB}', 'forged')",
        f"INSERT INTO conversations (user_id) VALUES ('{BOB}')",
        TURN.format(user=BOB, conversation="NULL"),
        TURN.format(user=ANN, conversation=102),
        "INSERT INTO messages (conversation_id, role, content) VALUES (102, 'user', 'forged')",
        f"UPDATE users SET id = '{uuid.UUID(int=9)}'",
        f"UPDATE tasks SET user_id = '{BOB}'",
        f"UPDATE conversations SET user_id = '{BOB}'",
        f"UPDATE turns SET user_id = '{BOB}'",
        "UPDATE turns SET conversation_id = 102",
        f"INSERT INTO tasks (id, user_id, title) SELECT 1, '{BOB}', 'forged' ON CONFLICT (id) DO UPDATE SET title = ''",
    ],
)
def test_no_row_is_written_for_somebody_else(connection: Connection, statement: str) -> None:
    become(connection, ANN)

    with pytest.raises(ProgrammingError, match="violates row-level security policy"):
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    "statement",
    [
        *(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in TABLES),
        *(f"TRUNCATE {table} CASCADE" for table in TABLES),
        *(f"DROP TABLE {table} CASCADE" for table in TABLES),
        "DROP POLICY taskchat_app ON tasks",
        "CREATE POLICY more ON tasks USING (true)",
        "ALTER TABLE messages DISABLE TRIGGER messages_append_only",
        "DROP TRIGGER messages_append_only ON messages",
        "DROP FUNCTION refuse_change_of_messages() CASCADE",
        "CREATE OR REPLACE FUNCTION taskchat_turn_user(turn_id uuid) RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'",
        "UPDATE messages SET content = 'changed'",
        "DELETE FROM messages",
        "DELETE FROM turns",
        "SELECT * FROM alembic_version",
        "SET session_replication_role = replica",
        "SET LOCAL row_security = off; SELECT * FROM tasks",
        "ALTER ROLE taskchat_app BYPASSRLS",
        "CREATE TABLE mine (id integer)",
        "COPY tasks TO PROGRAM 'cat'",
    ],
)
def test_the_role_can_neither_alter_nor_bypass(connection: Connection, statement: str) -> None:
    become(connection, ANN)

    with pytest.raises(ProgrammingError, match=REFUSED):
        connection.exec_driver_sql(statement)


def test_cascades_still_reach_messages(connection: Connection) -> None:
    become(connection, ANN)
    connection.exec_driver_sql("DELETE FROM users")
    connection.exec_driver_sql("RESET ROLE")

    assert seen(connection) == dict.fromkeys(TABLES, 1)


def test_a_function_tells_the_user_of_a_turn_and_no_more(connection: Connection) -> None:
    become(connection, ANN)
    # A temporary table comes first in the search path, unless a function names another one.
    connection.exec_driver_sql("CREATE TEMPORARY TABLE turns (id uuid, user_id uuid)")
    user = text("SELECT taskchat_turn_user(:turn)")

    assert connection.execute(user, {"turn": str(BOBS_TURN)}).scalar_one() == BOB
    assert connection.execute(user, {"turn": str(uuid.UUID(int=9))}).scalar_one() is None


def test_the_sweep_reaches_everybodys_turns(connection: Connection) -> None:
    become(connection, "", "taskchat_sweep")

    assert connection.exec_driver_sql("SELECT id, user_id FROM turns FOR UPDATE SKIP LOCKED").rowcount == 2
    assert connection.exec_driver_sql("UPDATE turns SET status = 'interrupted' WHERE status = 'finished'").rowcount == 2


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM turns",
        "SELECT idempotency_key FROM turns",
        "SELECT provider_state FROM turns",
        "UPDATE turns SET user_id = user_id",
        "SELECT content FROM messages",
        "SELECT title FROM tasks",
        "SELECT title FROM conversations",
        "SELECT subject FROM users",
        f"SELECT taskchat_turn_user('{BOBS_TURN}')",
    ],
)
def test_the_sweep_reads_no_text(connection: Connection, statement: str) -> None:
    become(connection, "", "taskchat_sweep")

    with pytest.raises(ProgrammingError, match="permission denied"):
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(("user_id", "shown"), [(ANN, "seen: ann"), (BOB, "seen: bob")])
def test_a_cheap_function_runs_after_the_policy(connection: Connection, user_id: uuid.UUID, shown: str) -> None:
    become(connection, user_id)
    connection.exec_driver_sql(
        "CREATE FUNCTION pg_temp.show(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001"
        " AS 'BEGIN RAISE EXCEPTION ''seen: %%'', $1; END'"
    )

    with pytest.raises(DBAPIError, match=shown):
        connection.exec_driver_sql("SELECT * FROM tasks WHERE pg_temp.show(title)")
