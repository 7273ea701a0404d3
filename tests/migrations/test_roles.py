"""The roles of row-level security, which belong to a cluster and are shared by its databases."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from alembic import command
from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

from functions.migrate.security import security_faults
from local.postgres import PASSWORD, Server, execute, postgres_database, restartable_server
from taskchat.conversations import lock_person
from taskchat.database import Database, driver_url
from taskchat.errors import DatabaseUnusableError
from taskchat.principal import Principal
from tests.conftest import migrate
from tests.migrations.test_revisions import alembic
from tests.support.revisions import PARENTS

pytestmark = pytest.mark.xdist_group("roles")

SECURITY = "b6d20f83e4c1"
ROLES = ("taskchat_app", "taskchat_sweep")
ANN = Principal(uuid.UUID(int=1), "issuer ann")
GRANTS = "".join(f"GRANT {role} TO migrator; " for role in ROLES)
ALL_COMMANDS = "".join(f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO migrator; " for role in ROLES)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server with a role that may create databases alone, and one that may do nothing."""
    with restartable_server() as server:
        execute(server.superuser, f"CREATE ROLE migrator LOGIN CREATEDB PASSWORD '{PASSWORD}'")
        execute(server.superuser, f"CREATE ROLE visitor LOGIN PASSWORD '{PASSWORD}'")
        yield server


@pytest.fixture
def without_roles(server: Server) -> Server:
    """Return the server without the functions' roles."""
    execute(server.superuser, f"DROP ROLE IF EXISTS {', '.join(ROLES)}")
    return server


@pytest.fixture
def migrated(server: Server) -> Iterator[URL]:
    """Return a migrated database whose owner may create roles."""
    with postgres_database(server.url) as url:
        migrate(url)
        yield url


def as_text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def faults(url: URL) -> str:
    engine = create_engine(driver_url(as_text(url)))
    with engine.connect() as connection:
        found = "; ".join(security_faults(connection))
    engine.dispose()
    return found


@contextmanager
def database(url: URL) -> Iterator[Database]:
    database = Database(lambda: as_text(url))
    yield database
    database.dispose()


def sign_up(connection: Connection) -> list[str]:
    lock_person(connection, ANN)
    return list(connection.execute(text("SELECT subject FROM users")).scalars())


def refusal_of_migration(url: URL) -> str:
    with pytest.raises(DBAPIError) as refused:
        migrate(url)
    return str(refused.value)


def run(server: Server, commands: str) -> None:
    execute(server.superuser, commands)


def test_a_role_without_createrole_is_told_the_commands(without_roles: Server) -> None:
    with postgres_database(without_roles.url.set(username="migrator")) as url:
        assert f"lacks CREATEROLE. Run as a role that has it, and repeat the migration: {ALL_COMMANDS}" in (
            refusal_of_migration(url)
        )
        run(without_roles, ALL_COMMANDS)
        migrate(url)

        assert faults(url) == ""
        with database(url) as mine:
            assert mine.transaction(ANN.user_id, sign_up) == [ANN.subject]


def test_databases_of_a_cluster_share_the_roles(without_roles: Server, migrated: URL) -> None:
    with postgres_database(without_roles.url.set(username="migrator")) as other:
        assert f"migration: {GRANTS}" in refusal_of_migration(other)
        run(without_roles, GRANTS)
        migrate(other)

        alembic(command.downgrade, as_text(migrated), PARENTS[SECURITY])
        with database(other) as database_of_others:
            assert database_of_others.transaction(ANN.user_id, sign_up) == [ANN.subject]
    migrate(migrated)
    assert faults(migrated) == ""


def test_a_cluster_without_the_roles_is_not_migrated(without_roles: Server) -> None:
    with (
        postgres_database(without_roles.url) as url,
        database(url) as empty,
        pytest.raises(DatabaseUnusableError, match="has not been migrated"),
    ):
        empty.transaction(ANN.user_id, sign_up)


def test_a_login_that_owns_nothing_needs_the_roles_alone(server: Server, migrated: URL) -> None:
    with database(migrated.set(username="visitor")) as visitors:
        with pytest.raises(DatabaseUnusableError, match="lacks a privilege"):
            visitors.transaction(ANN.user_id, sign_up)
        run(server, f"GRANT {', '.join(ROLES)} TO visitor")

        assert visitors.transaction(ANN.user_id, sign_up) == [ANN.subject]
    run(server, f"REVOKE {', '.join(ROLES)} FROM visitor")


def test_a_login_keeps_the_rows_it_had_privileges_on(server: Server) -> None:
    """The release before may log in as such a role. One that gets its privileges later sees nothing."""
    with postgres_database(server.url) as url:
        alembic(command.upgrade, as_text(url), PARENTS[SECURITY])
        execute(
            url, f"INSERT INTO users (id, subject) VALUES ('{ANN.user_id}', 'ann'); GRANT SELECT ON users TO visitor"
        )
        migrate(url)
        execute(url, "INSERT INTO tasks (user_id, title) SELECT id, '' FROM users; GRANT SELECT ON tasks TO visitor")

        engine = create_engine(driver_url(as_text(url.set(username="visitor"))))
        with engine.connect() as connection:
            seen = connection.execute(text("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM tasks)")).one()
        engine.dispose()
        assert tuple(seen) == (1, 0)
        assert faults(url) == ""


@pytest.mark.parametrize(
    ("weaken", "mend", "fault"),
    [
        ("ALTER ROLE taskchat_app BYPASSRLS", "ALTER ROLE taskchat_app NOBYPASSRLS", "bypasses row-level security"),
        ("ALTER ROLE taskchat_app SUPERUSER", "ALTER ROLE taskchat_app NOSUPERUSER", "is a superuser"),
        ("ALTER ROLE taskchat_sweep LOGIN", "ALTER ROLE taskchat_sweep NOLOGIN", "may log in"),
        ("ALTER ROLE taskchat_app CREATEROLE", "ALTER ROLE taskchat_app NOCREATEROLE", "may create roles"),
        ("GRANT pg_monitor TO taskchat_app", "REVOKE pg_monitor FROM taskchat_app", "is a member of another role"),
        ("CREATE DATABASE theirs OWNER taskchat_app", "DROP DATABASE theirs", "owns something"),
        (
            "REVOKE taskchat_app FROM taskchat CASCADE",
            "GRANT taskchat_app TO taskchat WITH ADMIN OPTION",
            "is not granted to the role that migrates",
        ),
    ],
)
def test_a_weak_role_is_named(server: Server, migrated: URL, weaken: str, mend: str, fault: str) -> None:
    run(server, weaken)
    found = faults(migrated)
    run(server, mend)

    assert fault in found
    assert faults(migrated) == ""
