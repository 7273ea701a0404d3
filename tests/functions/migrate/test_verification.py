"""The contract: what is missing or different is found, and triggers are restored."""

from collections.abc import Callable

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from functions.migrate import contract
from functions.migrate.errors import SchemaMismatchError
from local.postgres import execute
from taskchat import models  # noqa: F401 - fills the metadata
from tests.functions.migrate.conftest import Migrate, on, step
from tests.support.revisions import HEAD

TABLES = ["conversations", "feedback", "messages", "tasks", "turns", "users"]


def test_the_contract_has_every_column_of_the_models() -> None:
    columns = {
        name: (
            {column.name for column in table.columns if not column.nullable},
            {column.name for column in table.columns if column.nullable},
        )
        for name, table in SQLModel.metadata.tables.items()
    }

    assert {name: (set(table.required), set(table.optional)) for name, table in contract.TABLES.items()} == columns


def test_verify_names_what_it_found(migrated: Migrate, backend: str) -> None:
    answer = migrated({"action": "verify"})

    assert step(answer) == (HEAD, HEAD, [])
    assert set(TABLES) <= set(answer["verified"]["tables"])
    assert {
        "ix_conversations_user_id",
        "ix_conversations_updated_at",
        "ix_conversations_user_id_updated_at_id",
        "ix_messages_conversation_id",
        "idx_messages_conversation_created",
    } <= set(answer["verified"]["indexes"])
    assert len(answer["verified"]["triggers"]) == {"sqlite": 3, "postgres": 2}[backend]


@pytest.mark.parametrize(
    ("statements", "fault"),
    [
        (["DROP TABLE tasks"], "tasks: the table is missing"),
        (["ALTER TABLE tasks DROP COLUMN description"], "tasks: column description is missing"),
        (
            ["DROP INDEX idx_messages_conversation_created"],
            "messages: index idx_messages_conversation_created is",
        ),
        (
            [
                "DROP INDEX ix_conversations_user_id_updated_at_id",
                "CREATE INDEX ix_conversations_user_id_updated_at_id ON conversations (user_id, id)",
            ],
            "conversations: index ix_conversations_user_id_updated_at_id must be on user_id, updated_at, id",
        ),
        (
            [
                "DROP INDEX uq_turns_conversation_id_running",
                "CREATE INDEX uq_turns_conversation_id_running ON turns (conversation_id)",
            ],
            "turns: index uq_turns_conversation_id_running must be unique where the row is running",
        ),
        (
            ["DROP TABLE tasks", "CREATE TABLE tasks (id INTEGER, user_id INTEGER, priority TEXT DEFAULT 'low')"],
            "tasks: column title is missing; .*tasks: column user_id must refer to users ON DELETE CASCADE",
        ),
        (
            ["DROP TABLE tasks", "CREATE TABLE tasks (id INTEGER NOT NULL, priority TEXT NOT NULL DEFAULT 'low')"],
            "tasks: column priority lacks its server default",
        ),
    ],
)
def test_verify_fails_without_the_contract(
    migrated: Migrate, database_url: str, statements: list[str], fault: str
) -> None:
    on(database_url, *statements)

    with pytest.raises(SchemaMismatchError, match=fault):
        migrated({"action": "verify"})


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("DROP TRIGGER messages_append_only ON messages", "messages: trigger messages_append_only is missing"),
        ("ALTER TABLE messages DISABLE TRIGGER messages_append_only", "messages: trigger messages_append_only is miss"),
        ("ALTER TABLE turns DROP CONSTRAINT uq_turns_user_id_idempotency_key", "idempotency_key must be unique"),
        ("ALTER TABLE tasks ALTER COLUMN priority DROP NOT NULL", "tasks: column priority must not be null"),
        ("ALTER TABLE tasks ALTER COLUMN priority DROP DEFAULT", "tasks: column priority lacks its server default"),
        ("ALTER TABLE tasks DROP CONSTRAINT tasks_user_id_fkey", "tasks: column user_id must refer to users"),
        (
            "ALTER TABLE turns DROP CONSTRAINT turns_conversation_id_fkey,"
            " ADD FOREIGN KEY (conversation_id) REFERENCES conversations ON DELETE CASCADE",
            "turns: column conversation_id must refer to conversations ON DELETE SET NULL",
        ),
    ],
)
def test_verify_fails_on_alterations_of_postgres(
    migrated: Migrate, database_url: str, statement: str, fault: str
) -> None:
    on(database_url, statement)

    with pytest.raises(SchemaMismatchError, match=fault):
        migrated({"action": "verify"})


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("event", ["update", "delete", "replace"])
def test_verify_fails_without_a_trigger_on_sqlite(migrated: Migrate, database_url: str, event: str) -> None:
    on(database_url, f"DROP TRIGGER messages_append_only_{event}")

    with pytest.raises(SchemaMismatchError, match=f"messages: trigger messages_append_only_{event} is missing"):
        migrated({"action": "verify"})


@pytest.mark.parametrize("backend", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    "statement",
    ["DROP FUNCTION refuse_change_of_messages() CASCADE", "ALTER TABLE messages DISABLE TRIGGER messages_append_only"],
)
def test_an_upgrade_restores_triggers(migrated: Migrate, database_url: str, statement: str) -> None:
    on(database_url, statement)

    assert "messages_append_only" in migrated()["restored"]

    assert migrated({"action": "verify"})["to_revision"] == HEAD
    on(
        database_url,
        "INSERT INTO users (id, subject) VALUES (gen_random_uuid(), 'ann')",
        "INSERT INTO conversations (user_id) SELECT id FROM users",
        "INSERT INTO messages (conversation_id, role, content) SELECT id, 'user', '' FROM conversations",
    )
    with pytest.raises(IntegrityError, match="append-only"):
        on(database_url, "UPDATE messages SET content = 'other'")


def test_an_upgrade_refuses_what_it_cannot_restore(migrated: Migrate, database_url: str) -> None:
    on(database_url, "DROP INDEX ix_messages_conversation_id")

    with pytest.raises(SchemaMismatchError, match=r"index ix_messages_conversation_id is missing.* by hand"):
        migrated()


@pytest.mark.parametrize("action", ["upgrade", "verify"])
@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_an_encoding_without_every_letter_is_refused(
    environment: Callable[..., None], invoke: Migrate, empty_postgres_url: str, encoding: str, action: str
) -> None:
    url = make_url(empty_postgres_url)
    name = f"{url.database}_{encoding.lower()}"
    execute(url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'")
    environment(DATABASE_URL=url.set(database=name).render_as_string(hide_password=False))
    if action == "verify":
        invoke({"action": "stamp", "revision": "head"})
    try:
        with pytest.raises(SchemaMismatchError, match=f"encoding is {encoding}.* ENCODING 'UTF8'"):
            invoke({"action": action})
    finally:
        execute(url, f"DROP DATABASE {name}")
