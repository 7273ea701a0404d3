"""Row-level security: every weakness is found and named, and an upgrade restores it."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, Connection, Engine, create_engine

from functions.migrate import contract
from functions.migrate.errors import SchemaMismatchError
from functions.migrate.security import restore_security, security_faults
from local.postgres import postgres_database
from taskchat.database import driver_url
from tests.functions.migrate.conftest import Migrate, on
from tests.support.revisions import SCRIPTS

on_postgres = pytest.mark.parametrize("backend", ["postgres"], indirect=True)
TABLES = list(contract.TABLES)
TURN_USER = "FUNCTION taskchat_turn_user(uuid)"

RESTORED = [
    *((f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", f"{table}: row-level security is dis") for table in TABLES),
    *((f"DROP POLICY taskchat_app ON {table}", f"{table}: policy taskchat_app is missing") for table in TABLES),
    *((f"ALTER POLICY taskchat_app ON {table} USING (true)", f"{table}: policy .* another cond") for table in TABLES),
    ("ALTER TABLE tasks FORCE ROW LEVEL SECURITY", "tasks: row-level security is forced on the owner"),
    ("ALTER POLICY taskchat_app ON turns WITH CHECK (true)", "turns: policy taskchat_app has another condition"),
    ("ALTER POLICY taskchat_app ON tasks TO PUBLIC", "tasks: policy taskchat_app also applies to role taskchat_sweep"),
    ("ALTER POLICY taskchat_app ON tasks TO taskchat_app, taskchat_sweep", "tasks: policy .* also applies to .*sweep"),
    ("DROP POLICY taskchat_sweep ON turns", "turns: policy taskchat_sweep is missing"),
    ("REVOKE INSERT ON messages FROM taskchat_app", "messages: role taskchat_app must have INSERT"),
    ("REVOKE USAGE ON SEQUENCE tasks_id_seq FROM taskchat_app", "tasks: role .* USAGE on the sequence of id"),
    ("GRANT UPDATE ON messages TO taskchat_app", "messages: role taskchat_app must not have UPDATE"),
    ("GRANT UPDATE (content) ON messages TO taskchat_app", "messages: role taskchat_app must have UPDATE on no column"),
    ("GRANT TRUNCATE ON tasks TO taskchat_app", "tasks: role taskchat_app must not have TRUNCATE"),
    ("GRANT TRIGGER ON messages TO taskchat_app", "messages: role taskchat_app must not have TRIGGER"),
    ("GRANT SELECT (content) ON messages TO taskchat_sweep", "messages: role .*sweep must have SELECT on no column"),
    ("REVOKE UPDATE ON turns FROM taskchat_sweep", "turns: role taskchat_sweep must have UPDATE on status, error"),
    (f"DROP {TURN_USER}", "function taskchat_turn_user is missing"),
    (f"REVOKE EXECUTE ON {TURN_USER} FROM taskchat_app", "function taskchat_turn_user is missing, .* not granted"),
    (f"GRANT EXECUTE ON {TURN_USER} TO PUBLIC", "function taskchat_turn_user is granted to PUBLIC"),
    (f"ALTER {TURN_USER} RESET search_path", "function taskchat_turn_user .* no search_path"),
    (f"ALTER {TURN_USER} SECURITY INVOKER", "function taskchat_turn_user is missing"),
    ("REVOKE USAGE ON SCHEMA public FROM PUBLIC, taskchat_app", "role taskchat_app does not find .*tasks"),
]
BY_HAND = [
    ("CREATE POLICY more ON tasks USING (true)", "tasks: policy more also applies to role taskchat_app"),
    ("GRANT SELECT ON tasks TO PUBLIC", "tasks: role taskchat_sweep must not have SELECT"),
    (
        "CREATE VIEW all_tasks AS SELECT * FROM tasks; GRANT SELECT ON all_tasks TO taskchat_app",
        "role taskchat_app has a privilege on all_tasks",
    ),
    (
        "CREATE FUNCTION all_tasks() RETURNS SETOF tasks LANGUAGE sql SECURITY DEFINER AS 'SELECT * FROM tasks'",
        "function all_tasks runs as the owner of the tables",
    ),
]


def test_every_table_of_the_contract_has_a_policy() -> None:
    assert all(contract.APP_ROLE in table.access for table in contract.TABLES.values())


@pytest.fixture(scope="module")
def engine(postgres_server_url: URL, postgres_template: URL) -> Iterator[Engine]:
    """Return an engine on a migrated database in which nothing is committed."""
    with postgres_database(postgres_server_url, postgres_template) as url:
        engine = create_engine(driver_url(url.render_as_string(hide_password=False)))
        yield engine
        engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """Return a connection of the owner, which is rolled back."""
    with engine.connect() as connection:
        yield connection


def test_a_migrated_database_has_no_weakness(connection: Connection) -> None:
    assert list(security_faults(connection)) == []
    assert restore_security(connection, SCRIPTS) == []


@pytest.mark.parametrize(("statement", "fault"), RESTORED)
def test_a_weakness_is_named_and_restored(connection: Connection, statement: str, fault: str) -> None:
    connection.exec_driver_sql(statement)

    assert re.search(fault, "; ".join(security_faults(connection)))
    assert restore_security(connection, SCRIPTS) == ["row-level security"]
    assert list(security_faults(connection)) == []


@pytest.mark.parametrize(("statements", "fault"), BY_HAND)
def test_a_hole_beside_the_policies_is_named(connection: Connection, statements: str, fault: str) -> None:
    connection.exec_driver_sql(statements)
    restore_security(connection, SCRIPTS)

    assert re.search(fault, "; ".join(security_faults(connection)))


@on_postgres
def test_verify_names_policies_and_an_upgrade_restores(migrated: Migrate, database_url: str) -> None:
    policies = {
        *(f"taskchat_app on {table}" for table in TABLES),
        "taskchat_sweep on turns",
        "taskchat_sweep on conversations",
    }
    assert set(migrated({"action": "verify"})["verified"]["policies"]) == policies
    on(database_url, "ALTER TABLE tasks DISABLE ROW LEVEL SECURITY")

    with pytest.raises(SchemaMismatchError, match="tasks: row-level security is disabled"):
        migrated({"action": "verify"})
    assert migrated()["restored"] == ["row-level security"]

    on(database_url, "CREATE POLICY more ON tasks USING (true)")
    with pytest.raises(SchemaMismatchError, match="tasks: policy more also applies"):
        migrated()
