"""Every revision upgrades and downgrades, and all of them together make the tables of the models."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Inspector, inspect, select, text
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel, col

from migrations.transaction import Limits, migration_transaction
from taskchat.database import Database, driver_url
from taskchat.models import Conversation, Priority, Task, User
from tests.support.owner import as_owner
from tests.support.revisions import CONVERSATIONS, MIGRATIONS, PARENTS, REVISIONS, SCRIPTS

Alembic = Callable[..., None]
ONLY_ON_POSTGRES = ("b6d20f83e4c1", "a4f60c2b97d8")
KINDS = "d7a1c95e3f08"


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
        return tables | {"triggers": _triggers(connection), "security": _security(connection)}


def _table(inspector: Inspector, name: str) -> dict[str, Any]:
    return {
        "columns": _comparable(inspector.get_columns(name)),
        "indexes": _comparable(inspector.get_indexes(name)),
        "unique": _comparable(inspector.get_unique_constraints(name)),
        "checks": _comparable(inspector.get_check_constraints(name)),
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
    """Return the definitions of all triggers and of their functions."""
    statement = (
        "SELECT sql FROM sqlite_master WHERE type = 'trigger' ORDER BY sql"
        if connection.dialect.name == "sqlite"
        else "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal UNION ALL"
        " SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
    )
    return list(connection.execute(text(statement)).scalars())


def _security(connection: Connection) -> list[str]:
    """Return policies, privileges, and whether row-level security is enabled."""
    if connection.dialect.name == "sqlite":
        return []
    statement = (
        "WITH relation AS (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
        " SELECT concat_ws(' ', relname, relrowsecurity, relforcerowsecurity) FROM relation WHERE relkind = 'r'"
        " AND relname <> 'alembic_version' UNION ALL"
        " SELECT concat_ws(' ', relname, grantee::regrole, privilege_type) FROM relation, aclexplode(relacl)"
        " WHERE grantee <> relowner UNION ALL"
        " SELECT concat_ws(' ', relname, attname, attacl) FROM relation JOIN pg_attribute ON attrelid = relation.oid"
        " WHERE attacl IS NOT NULL UNION ALL"
        " SELECT concat_ws(' ', tablename, policyname, roles, qual, with_check) FROM pg_policies ORDER BY 1"
    )
    return list(connection.execute(text(statement)).scalars())


def test_revisions_form_one_line() -> None:
    scripts = list(SCRIPTS.walk_revisions("base", "heads"))

    assert len(SCRIPTS.get_heads()) == len(SCRIPTS.get_bases()) == 1
    assert [script.down_revision for script in scripts] == [*REVISIONS[-2::-1], None]


def test_a_database_shared_with_others_keeps_their_tables(database_url: str) -> None:
    with transaction(database_url) as connection:
        connection.execute(text("CREATE TABLE notes (id INTEGER)"))

    alembic(command.check, database_url)


def test_every_revision_tells_its_losses() -> None:
    losses = [SCRIPTS.get_revision(revision).module.LOSSES for revision in REVISIONS]

    assert all(isinstance(loss, tuple) and all(isinstance(words, str) for words in loss) for loss in losses)
    assert all(losses[:3])


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_revision_can_be_undone_and_repeated(empty_database_url: str, revision: str) -> None:
    alembic(command.upgrade, empty_database_url, PARENTS[revision])
    before = schema(empty_database_url)
    alembic(command.upgrade, empty_database_url, revision)
    after = schema(empty_database_url)
    assert after != before or (revision in ONLY_ON_POSTGRES and empty_database_url.startswith("sqlite"))

    alembic(command.downgrade, empty_database_url, PARENTS[revision])
    assert schema(empty_database_url) == before

    alembic(command.upgrade, empty_database_url, revision)
    assert schema(empty_database_url) == after


def test_rows_survive_the_upgrade_and_downgrade_of_turns(empty_database_url: str) -> None:
    message = "SELECT id, conversation_id, role, content, created_at FROM messages"
    alembic(command.upgrade, empty_database_url, CONVERSATIONS)
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

    alembic(command.downgrade, empty_database_url, CONVERSATIONS)
    with transaction(empty_database_url) as connection:
        assert connection.execute(text(message)).all() == written
    assert len(written) == 2


def test_the_conversations_of_clients_are_found(empty_database_url: str) -> None:
    alembic(command.upgrade, empty_database_url, PARENTS[KINDS])
    client_key = f"client {'0' * 64}"
    with transaction(empty_database_url) as connection:
        connection.execute(
            text("INSERT INTO users (id, subject) VALUES ('00000000000000000000000000000001', 'ann')"),
        )
        for number, key in enumerate((client_key, "client", str(uuid.uuid4())), start=1):
            connection.execute(text("INSERT INTO conversations (user_id) SELECT id FROM users"))
            connection.execute(
                text(
                    "INSERT INTO turns (id, user_id, conversation_id, idempotency_key, request_hash, status, attempt,"
                    f" lease_expires_at) SELECT '{uuid.uuid4().hex}', user_id, id, '{key}', '', 'finished', 1,"
                    f" created_at FROM conversations WHERE id = {number}"
                )
            )

    alembic(command.upgrade, empty_database_url, KINDS)
    with transaction(empty_database_url) as connection:
        kinds = connection.execute(text("SELECT kind FROM conversations ORDER BY id")).scalars().all()
    assert kinds == ["client", "chat", "chat"]


def test_autogenerate_finds_no_difference(database_url: str) -> None:
    alembic(command.check, database_url)


def test_migrations_make_the_tables_of_the_models(database_url: str, empty_database_url: str) -> None:
    """Autogenerate compares neither checks nor the names of constraints, nor all defaults."""
    with transaction(empty_database_url) as connection:
        SQLModel.metadata.create_all(connection)

    migrated, made = schema(database_url), schema(empty_database_url)

    # Triggers and row-level security have no model.
    assert len(migrated.pop("triggers")) >= 3
    assert made.pop("triggers") == []
    del migrated["security"], made["security"]
    assert migrated == made


def test_the_server_fills_in_its_clock_in_utc(database: Database) -> None:
    def write(connection: Connection) -> list[datetime]:
        connection.execute(
            text("INSERT INTO users (id, subject) VALUES ('00000000000000000000000000000001', 'ann')"),
        )
        connection.execute(text("INSERT INTO conversations (user_id) SELECT id FROM users"))
        connection.execute(text("INSERT INTO tasks (user_id, title) SELECT id, 'title' FROM users"))
        instants = (User.created_at, Conversation.created_at, Conversation.updated_at, Task.created_at, Task.updated_at)
        return [connection.execute(select(col(instant))).scalar_one() for instant in instants]

    # SQLite's clock has milliseconds.
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    written = as_owner(database, write)

    assert all(before <= instant <= datetime.now(UTC) for instant in written)


def test_a_task_is_open_and_of_normal_priority_by_default(database: Database) -> None:
    def write(connection: Connection) -> tuple[Priority, bool]:
        connection.execute(text("INSERT INTO users (id, subject) VALUES ('00000000000000000000000000000001', 'ann')"))
        connection.execute(text("INSERT INTO tasks (user_id, title) SELECT id, 'title' FROM users"))
        task = connection.execute(select(Task)).one()
        return task.priority, task.completed

    assert as_owner(database, write) == (Priority.NORMAL, False)
