"""Databases that are ahead of the code, are of another application, or were made without migrations."""

import io
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from functions.migrate.errors import MigrationFailedError, SchemaMismatchError
from taskchat.database import driver_url
from tests.functions.migrate.conftest import Migrate, on, step, tables
from tests.support.revisions import CONVERSATIONS, HEAD

NEWER = "ffffffffffff"
AHEAD = f"UPDATE alembic_version SET version_num = '{NEWER}'"
INSERT_NEWER = f"INSERT INTO alembic_version VALUES ('{NEWER}')"
FOREIGN_VERSION = ("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)", INSERT_NEWER)


@pytest.mark.parametrize("event", [{}, {"revision": "head"}, {"revision": CONVERSATIONS}])
def test_a_database_ahead_of_the_code_is_left_as_it_is(
    migrated: Migrate, database_url: str, event: dict[str, Any], logs: io.StringIO
) -> None:
    on(database_url, AHEAD, "CREATE TABLE labels (id INTEGER)")
    before = tables(database_url)

    answer = migrated(event)

    assert step(answer) == (NEWER, NEWER, [])
    assert answer["ahead"]
    assert NEWER in answer["warning"]
    assert '"level":"WARNING"' in logs.getvalue()
    assert tables(database_url) == before


def test_current_says_that_the_database_is_ahead(migrated: Migrate, database_url: str) -> None:
    assert not migrated({"action": "current"})["ahead"]
    on(database_url, AHEAD)

    answer = migrated({"action": "current"})

    assert (step(answer), answer["head"], answer["ahead"]) == ((NEWER, NEWER, []), HEAD, True)


@pytest.mark.parametrize(
    "event",
    [
        {"action": "downgrade", "revision": CONVERSATIONS, "confirm": True},
        {"action": "stamp", "revision": "head"},
        {"action": "check"},
        {"action": "verify"},
    ],
)
def test_a_database_ahead_of_the_code_refuses_the_rest(
    migrated: Migrate, database_url: str, event: dict[str, Any]
) -> None:
    on(database_url, AHEAD)

    with pytest.raises(SchemaMismatchError, match=f"at (revision )?{NEWER}"):
        migrated(event)

    assert migrated({"action": "current"})["to_revision"] == NEWER


def test_a_database_ahead_of_the_code_has_no_unknown_target(migrated: Migrate, database_url: str) -> None:
    on(database_url, AHEAD)

    with pytest.raises(MigrationFailedError, match=r"CommandError.*0123456789ab"):
        migrated({"revision": "0123456789ab"})


@pytest.mark.parametrize("action", ["upgrade", "current", "check", "verify"])
@pytest.mark.parametrize("table", ["notes (id INTEGER)", "users (id INTEGER, name TEXT)"])
def test_the_revision_of_another_application_is_refused(
    migrate: Migrate, empty_database_url: str, table: str, action: str
) -> None:
    on(empty_database_url, f"CREATE TABLE {table}", *FOREIGN_VERSION)
    before = tables(empty_database_url)

    with pytest.raises(SchemaMismatchError, match=f"{NEWER}, which is not of this application; give"):
        migrate({"action": action})

    assert tables(empty_database_url) == before


def test_a_table_of_two_revisions_is_refused(migrated: Migrate, database_url: str) -> None:
    on(database_url, INSERT_NEWER)

    with pytest.raises(SchemaMismatchError, match="alembic_version holds 2 revisions"):
        migrated()


def test_tables_of_another_application_are_left_alone(migrate: Migrate, empty_database_url: str) -> None:
    on(empty_database_url, "CREATE TABLE notes (id INTEGER)", "CREATE INDEX ix_notes ON notes (id)")

    migrate()

    assert migrate({"action": "check"})["differences"] == []
    migrate({"action": "downgrade", "revision": "base", "confirm": True})
    assert tables(empty_database_url) == ["notes"]


def test_tables_without_a_revision_are_refused(migrate: Migrate, empty_database_url: str) -> None:
    on(empty_database_url, "CREATE TABLE users (id INTEGER)", "CREATE TABLE tasks (id INTEGER)")

    with pytest.raises(SchemaMismatchError, match=r"no revision, but already has tables named tasks, users.*stamp"):
        migrate()

    assert tables(empty_database_url) == ["tasks", "users"]


def test_tables_made_by_create_all_get_their_triggers(migrate: Migrate, empty_database_url: str, backend: str) -> None:
    engine = create_engine(driver_url(empty_database_url))
    SQLModel.metadata.create_all(engine)
    engine.dispose()
    with pytest.raises(SchemaMismatchError, match="stamp"):
        migrate()
    migrate({"action": "stamp", "revision": "head"})
    with pytest.raises(SchemaMismatchError, match="trigger messages_append_only"):
        migrate({"action": "verify"})

    answer = migrate()

    assert step(answer) == (HEAD, HEAD, [])
    triggers = migrate({"action": "verify"})["verified"]["triggers"]
    assert answer["restored"] == [*triggers, *(["row-level security"] if backend == "postgres" else [])]
    assert len(triggers) == {"sqlite": 3, "postgres": 2}[backend]
    assert migrate({"action": "check"})["differences"] == []
    assert migrate()["restored"] == []


def test_a_stamp_without_tables_is_noticed(migrate: Migrate) -> None:
    migrate({"action": "stamp", "revision": "head"})

    with pytest.raises(SchemaMismatchError, match="users: the table is missing"):
        migrate()
