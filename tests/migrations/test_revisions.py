"""Every revision goes up and down, and what stands in the end is what the models say."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, inspect, select, text
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel, col

from migrations.transaction import Limits, migration_transaction
from taskchat.database import Database, driver_url
from taskchat.models import Conversation, Priority, Task, User

MIGRATIONS = Path(__file__).parents[2] / "migrations"
REVISIONS = [
    script.revision for script in reversed(list(ScriptDirectory(str(MIGRATIONS)).walk_revisions("base", "head")))
]
PARENTS = dict(zip(REVISIONS, ["base", *REVISIONS], strict=False))

Alembic = Callable[..., None]


@contextmanager
def transaction(url: str) -> Iterator[Connection]:
    with migration_transaction(driver_url(url), Limits()) as connection:
        yield connection


def alembic(action: Alembic, url: str, *arguments: str) -> None:
    with transaction(url) as connection:
        configuration = Config(attributes={"connection": connection})
        configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        action(configuration, *arguments)


def schema(url: str) -> dict[str, Any]:
    """Return all that the database tells about its tables, in an order that does not depend on their history."""
    with transaction(url) as connection:
        inspector = inspect(connection)
        tables = {name: _table(inspector, name) for name in inspector.get_table_names() if name != "alembic_version"}
        return tables | {"triggers": _triggers(connection)}


def _table(inspector: Inspector, name: str) -> dict[str, Any]:
    return {
        "columns": _comparable(inspector.get_columns(name)),
        "indexes": _comparable(inspector.get_indexes(name)),
        "unique": _comparable(inspector.get_unique_constraints(name)),
        "checks": sorted(str(check["name"]) for check in inspector.get_check_constraints(name)),
        # SQLite keeps the name of a reference only in a table that was altered.
        "references": _comparable({**key, "name": None} for key in inspector.get_foreign_keys(name)),
    }


def _comparable(found: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted(str(sorted((key, _comparable_value(value)) for key, value in item.items())) for item in found)


def _comparable_value(value: object) -> str:
    if isinstance(value, dict):
        return _comparable([value])[0]
    return repr(value) if isinstance(value, TypeEngine) else str(value)


def _triggers(connection: Connection) -> list[str]:
    statement = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
        if connection.dialect.name == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
        " SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    )
    return list(connection.execute(text(statement)).scalars())


def test_there_is_one_way_and_it_leads_over_conversations_and_messages() -> None:
    assert len(REVISIONS) >= 3
    assert REVISIONS[1] == "bcde77eeb26a"


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_undone_leaves_what_was_there_before_and_can_be_done_again(
    empty_database_url: str, revision: str
) -> None:
    alembic(command.upgrade, empty_database_url, PARENTS[revision])
    before = schema(empty_database_url)
    alembic(command.upgrade, empty_database_url, revision)
    after = schema(empty_database_url)
    assert after != before

    alembic(command.downgrade, empty_database_url, PARENTS[revision])
    assert schema(empty_database_url) == before

    alembic(command.upgrade, empty_database_url, revision)
    assert schema(empty_database_url) == after


def test_rows_survive_turns_going_up_and_down(empty_database_url: str) -> None:
    message = "SELECT id, conversation_id, role, content, created_at FROM messages"
    alembic(command.upgrade, empty_database_url, "bcde77eeb26a")
    with transaction(empty_database_url) as connection:
        for statement in (
            "INSERT INTO users (id, subject) VALUES ('00000000000000000000000000000001', 'ann')",
            "INSERT INTO conversations (user_id) SELECT id FROM users",
            "INSERT INTO messages (conversation_id, role, content) SELECT id, 'user', 'text' FROM conversations",
        ):
            connection.execute(text(statement))
        written = connection.execute(text(message)).all()

    alembic(command.upgrade, empty_database_url, "head")
    with transaction(empty_database_url) as connection:
        assert connection.execute(text(message)).all() == written
        connection.execute(
            text(
                "INSERT INTO turns (id, user_id, conversation_id, idempotency_key, request_hash, status, attempt,"
                " lease_expires_at) SELECT user_id, user_id, id, 'key', 'hash', 'running', 1, created_at"
                " FROM conversations"
            )
        )
        connection.execute(
            text(
                "INSERT INTO messages (conversation_id, turn_id, role, content)"
                " SELECT conversation_id, id, 'assistant', 'reply' FROM turns"
            )
        )
        written = connection.execute(text(message)).all()

    alembic(command.downgrade, empty_database_url, "bcde77eeb26a")
    with transaction(empty_database_url) as connection:
        assert connection.execute(text(message)).all() == written
    assert len(written) == 2


def test_autogenerate_finds_no_difference(database_url: str) -> None:
    alembic(command.check, database_url)


def test_the_migrations_make_what_the_models_would_make(database_url: str, empty_database_url: str) -> None:
    """Autogenerate is silent on checks, on the names of constraints and on some defaults."""
    with transaction(empty_database_url) as connection:
        SQLModel.metadata.create_all(connection)

    migrated, made = schema(database_url), schema(empty_database_url)

    assert migrated.pop("triggers") != made.pop("triggers")
    assert migrated == made


def test_the_server_fills_in_its_own_clock_in_utc(database: Database) -> None:
    def write(connection: Connection) -> list[datetime]:
        connection.execute(
            text("INSERT INTO users (id, subject) VALUES ('00000000000000000000000000000001', 'ann')"),
        )
        connection.execute(text("INSERT INTO conversations (user_id) SELECT id FROM users"))
        connection.execute(text("INSERT INTO tasks (user_id, title) SELECT id, 'title' FROM users"))
        instants = (User.created_at, Conversation.created_at, Conversation.updated_at, Task.created_at, Task.updated_at)
        return [connection.execute(select(col(instant))).scalar_one() for instant in instants]

    # SQLite cuts to milliseconds.
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    written = database.transaction(write)

    assert all(before <= instant <= datetime.now(UTC) for instant in written)


def test_a_task_without_more_than_a_title_is_open_and_of_normal_priority(database: Database) -> None:
    def write(connection: Connection) -> tuple[Priority, bool]:
        connection.execute(text("INSERT INTO users (id, subject) VALUES ('00000000000000000000000000000001', 'ann')"))
        connection.execute(text("INSERT INTO tasks (user_id, title) SELECT id, 'title' FROM users"))
        task = connection.execute(select(Task)).one()
        return task.priority, task.completed

    assert database.transaction(write) == (Priority.NORMAL, False)
