"""Every action of the contract, through the handler."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, inspect, text

from functions.migrate.errors import InvalidEventError, MigrationFailedError, SchemaMismatchError
from taskchat.database import driver_url

USERS, CONVERSATIONS, TURNS = REVISIONS = ["4f1d0c7a92be", "bcde77eeb26a", "e3a95b60d1c8"]
TABLES = ["conversations", "messages", "tasks", "turns", "users"]
NEWER_REVISION = "ffffffffffff"
NEWER = f"UPDATE alembic_version SET version_num = '{NEWER_REVISION}'"
INSERT_NEWER = f"INSERT INTO alembic_version VALUES ('{NEWER_REVISION}')"
UNREACHABLE = "postgresql://nobody:secret@127.0.0.1:1/nowhere?sslmode=require"

Migrate = Callable[..., dict[str, Any]]


def on(url: str, *statements: str) -> None:
    """Run statements as a person at a console would."""
    engine = create_engine(driver_url(url))
    try:
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        engine.dispose()


def tables(url: str) -> list[str]:
    def names(connection: Connection) -> list[str]:
        return sorted(set(inspect(connection).get_table_names()) - {"alembic_version"})

    engine = create_engine(driver_url(url))
    try:
        with engine.connect() as connection:
            return names(connection)
    finally:
        engine.dispose()


def step(answer: dict[str, Any]) -> tuple[str | None, str | None, list[str]]:
    return answer["from_revision"], answer["to_revision"], answer["applied"]


@pytest.mark.parametrize("event", [{}, {"action": "upgrade"}, {"action": "upgrade", "revision": "head"}])
def test_an_upgrade_applies_all_revisions_oldest_first(
    migrate: Migrate, empty_database_url: str, event: dict[str, str]
) -> None:
    answer = migrate(event)

    duration = answer.pop("duration_ms")
    assert isinstance(duration, int)
    assert 0 <= duration < 60_000
    assert answer == {
        "action": "upgrade",
        "from_revision": None,
        "to_revision": TURNS,
        "applied": REVISIONS,
        "ahead": False,
    }
    assert tables(empty_database_url) == TABLES


def test_an_upgrade_of_what_is_up_to_date_does_nothing(migrated: Migrate) -> None:
    assert step(migrated()) == (TURNS, TURNS, [])


def test_an_upgrade_stops_at_the_revision_that_is_named_and_goes_on_from_there(
    migrate: Migrate, empty_database_url: str
) -> None:
    assert step(migrate({"action": "upgrade", "revision": "bcde"})) == (None, CONVERSATIONS, [USERS, CONVERSATIONS])
    assert tables(empty_database_url) == ["conversations", "messages", "tasks", "users"]

    assert step(migrate({"revision": "+1"})) == (CONVERSATIONS, TURNS, [TURNS])
    assert tables(empty_database_url) == TABLES


def test_current_tells_where_the_database_stands(migrate: Migrate, empty_database_url: str) -> None:
    before = migrate({"action": "current"})
    assert (step(before), before["head"]) == ((None, None, []), TURNS)
    assert tables(empty_database_url) == []

    migrate({"revision": CONVERSATIONS})

    after = migrate({"action": "current"})
    assert (step(after), after["head"]) == ((CONVERSATIONS, CONVERSATIONS, []), TURNS)


def test_history_lists_all_revisions_oldest_first(migrate: Migrate) -> None:
    answer = migrate({"action": "history"})

    assert step(answer) == (None, None, [])
    assert answer["history"] == [
        {"revision": USERS, "down_revision": None, "description": "Users and tasks."},
        {"revision": CONVERSATIONS, "down_revision": USERS, "description": "Conversations and messages."},
        {
            "revision": TURNS,
            "down_revision": CONVERSATIONS,
            "description": "Turns, and messages that are only ever appended.",
        },
    ]


def test_check_passes_where_models_and_database_agree(migrated: Migrate) -> None:
    answer = migrated({"action": "check"})

    assert (step(answer), answer["differences"]) == ((TURNS, TURNS, []), [])


@pytest.mark.parametrize("action", ["check", "verify"])
@pytest.mark.parametrize("revision", ["base", USERS, CONVERSATIONS])
def test_check_and_verify_fail_before_the_head(migrate: Migrate, action: str, revision: str) -> None:
    if revision != "base":
        migrate({"revision": revision})

    with pytest.raises(SchemaMismatchError, match=f"and the head is {TURNS}"):
        migrate({"action": action})


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("ALTER TABLE tasks ADD COLUMN colour TEXT", "colour"),
        ("ALTER TABLE tasks DROP COLUMN description", "description"),
        ("DROP INDEX ix_tasks_user_id_completed_due_at_id", "ix_tasks_user_id_completed_due_at_id"),
        ("CREATE TABLE labels (id INTEGER)", "labels"),
    ],
)
def test_check_fails_where_the_database_differs_from_the_models(
    migrated: Migrate, database_url: str, statement: str, difference: str
) -> None:
    on(database_url, statement)

    with pytest.raises(SchemaMismatchError, match=difference):
        migrated({"action": "check"})


def test_verify_names_what_stands(migrated: Migrate, backend: str) -> None:
    answer = migrated({"action": "verify"})

    assert step(answer) == (TURNS, TURNS, [])
    assert sorted(answer["verified"]["tables"]) == TABLES
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
            "tasks: column title is missing; .*tasks: column user_id must refer to users, and go with it",
        ),
        (
            ["DROP TABLE tasks", "CREATE TABLE tasks (id INTEGER NOT NULL, priority TEXT NOT NULL DEFAULT 'low')"],
            "tasks: column priority lacks its server default",
        ),
    ],
)
def test_verify_fails_where_the_contract_is_not_kept(
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
    ],
)
def test_verify_fails_on_what_postgres_alone_can_alter(
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


def test_sql_shows_statements_that_do_what_an_upgrade_does(
    migrate: Migrate, empty_database_url: str, run_script: Callable[[str, str], None]
) -> None:
    answer = migrate({"action": "sql"})
    assert (step(answer), tables(empty_database_url)) == ((None, TURNS, []), [])

    run_script(empty_database_url, answer["sql"])

    assert migrate({"action": "verify"})["to_revision"] == TURNS
    assert migrate({"action": "check"})["differences"] == []


@pytest.mark.parametrize(
    ("revision", "source", "destination", "statement"),
    [
        ("bcde77eeb26a:head", CONVERSATIONS, TURNS, "CREATE TABLE turns"),
        ("base:4f1d0c7a92be", None, USERS, "CREATE TABLE users"),
        ("head:bcde77eeb26a", TURNS, CONVERSATIONS, "DROP TABLE turns"),
    ],
)
def test_sql_shows_the_statements_of_a_part_of_the_way(
    migrate: Migrate, revision: str, source: str | None, destination: str, statement: str
) -> None:
    answer = migrate({"action": "sql", "revision": revision})

    assert step(answer) == (source, destination, [])
    assert statement in answer["sql"]
    assert "CREATE TABLE conversations" not in answer["sql"]


def test_sql_needs_no_database(environment: Callable[..., None], invoke: Migrate) -> None:
    environment(DATABASE_URL=UNREACHABLE)

    assert "CREATE TABLE users" in invoke({"action": "sql"})["sql"]


def test_stamp_records_a_revision_and_touches_nothing_else(migrate: Migrate, empty_database_url: str) -> None:
    assert step(migrate({"action": "stamp", "revision": "bcde77eeb26a"})) == (None, CONVERSATIONS, [])
    assert tables(empty_database_url) == []

    assert step(migrate({"action": "stamp", "revision": "base"})) == (CONVERSATIONS, None, [])


@pytest.mark.parametrize(
    ("revision", "destination", "undone"),
    [("-1", CONVERSATIONS, [TURNS]), ("4f1d", USERS, [TURNS, CONVERSATIONS]), ("base", None, REVISIONS[::-1])],
)
def test_a_downgrade_undoes_the_newest_first(
    migrated: Migrate, revision: str, destination: str | None, undone: list[str]
) -> None:
    answer = migrated({"action": "downgrade", "revision": revision, "confirm": True})

    assert step(answer) == (TURNS, destination, undone)
    assert migrated({"action": "current"})["to_revision"] == destination


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ({"action": "downgrade"}, "revision: Field required.*confirm: Field required"),
        ({"action": "downgrade", "confirm": True}, "revision: Field required"),
        ({"action": "downgrade", "revision": "base"}, "confirm: Field required"),
        ({"action": "downgrade", "revision": "base", "confirm": False}, "confirm: .*only where this is true"),
        ({"action": "downgrade", "revision": "base", "confirm": "true"}, "confirm: .*valid boolean"),
        ({"action": "downgrade", "revision": "base", "confirm": 1}, "confirm: .*valid boolean"),
        ({"action": "downgrade", "revision": None, "confirm": True}, "revision: .*valid string"),
        ({"action": "stamp"}, "revision: Field required"),
        ({"action": "upgrade", "revision": 7}, "revision: .*valid string"),
        ({"action": "upgrade", "revision": ""}, "revision: .*match"),
        ({"action": "upgrade", "revision": "base; DROP TABLE users"}, "revision: .*match"),
        ({"action": "upgrade", "confirm": True}, "confirm: Extra inputs"),
        ({"action": "current", "revision": "head"}, "revision: Extra inputs"),
        ({"revison": "head"}, "revison: Extra inputs"),
        ({"action": "drop"}, "'drop' .*does not match"),
        ({"action": "Upgrade"}, "'Upgrade' .*does not match"),
        ({"action": None}, "action"),
        ([], "the event must be a JSON object"),
        ("upgrade", "the event must be a JSON object"),
    ],
)
def test_an_event_that_asks_for_nothing_sensible_is_refused_and_changes_nothing(
    migrated: Migrate, event: object, fault: str
) -> None:
    with pytest.raises(InvalidEventError, match=fault):
        migrated(event)

    assert migrated({"action": "verify"})["to_revision"] == TURNS


@pytest.mark.parametrize(
    "event",
    [
        {"action": "upgrade", "revision": "0123456789ab"},
        {"action": "stamp", "revision": "0123456789ab"},
        {"action": "sql", "revision": "0123456789ab"},
        {"action": "downgrade", "revision": "head", "confirm": True},
        {"action": "downgrade", "revision": "0123456789ab", "confirm": True},
    ],
)
def test_a_revision_to_which_no_way_leads_fails_and_changes_nothing(migrate: Migrate, event: dict[str, Any]) -> None:
    migrate({"revision": CONVERSATIONS})

    with pytest.raises(MigrationFailedError, match="CommandError"):
        migrate(event)

    assert migrate({"action": "current"})["to_revision"] == CONVERSATIONS


@pytest.mark.parametrize("event", [{}, {"revision": "head"}, {"revision": CONVERSATIONS}, {"action": "verify"}])
def test_a_database_ahead_of_the_code_is_left_as_it_is(
    migrated: Migrate, database_url: str, event: dict[str, Any], logs: io.StringIO
) -> None:
    on(database_url, NEWER, "CREATE TABLE labels (id INTEGER)")

    answer = migrated(event)

    assert step(answer) == (NEWER_REVISION, NEWER_REVISION, [])
    assert answer["ahead"]
    assert NEWER_REVISION in answer["warning"]
    assert '"level":"WARNING"' in logs.getvalue()
    assert tables(database_url) == sorted([*TABLES, "labels"])


def test_current_says_that_the_database_is_ahead(migrated: Migrate, database_url: str) -> None:
    assert not migrated({"action": "current"})["ahead"]
    on(database_url, NEWER)

    answer = migrated({"action": "current"})

    assert (step(answer), answer["head"], answer["ahead"]) == ((NEWER_REVISION, NEWER_REVISION, []), TURNS, True)


@pytest.mark.parametrize(
    "event",
    [
        {"action": "downgrade", "revision": CONVERSATIONS, "confirm": True},
        {"action": "stamp", "revision": "head"},
        {"action": "check"},
    ],
)
def test_a_database_ahead_of_the_code_refuses_the_rest(
    migrated: Migrate, database_url: str, event: dict[str, Any]
) -> None:
    on(database_url, NEWER)

    with pytest.raises(SchemaMismatchError, match=f"at (revision )?{NEWER_REVISION}"):
        migrated(event)

    assert migrated({"action": "current"})["to_revision"] == NEWER_REVISION


def test_a_database_ahead_of_the_code_has_no_unknown_target(migrated: Migrate, database_url: str) -> None:
    on(database_url, NEWER)

    with pytest.raises(MigrationFailedError, match=r"CommandError.*0123456789ab"):
        migrated({"revision": "0123456789ab"})


@pytest.mark.parametrize("action", ["upgrade", "current", "check", "verify", "history"])
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE notes (id INTEGER)",
        "CREATE TABLE users (id INTEGER, name TEXT)",
    ],
)
def test_the_revision_of_another_application_is_refused(
    migrate: Migrate, empty_database_url: str, statement: str, action: str
) -> None:
    on(empty_database_url, statement, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)", INSERT_NEWER)
    before = tables(empty_database_url)

    with pytest.raises(SchemaMismatchError, match=f"{NEWER_REVISION}, which is not of this application; give"):
        migrate({"action": action})

    assert tables(empty_database_url) == before


def test_a_table_of_two_revisions_is_refused(migrated: Migrate, database_url: str) -> None:
    on(database_url, INSERT_NEWER)

    with pytest.raises(SchemaMismatchError, match="alembic_version holds 2 revisions"):
        migrated()


def test_the_unpooled_url_is_used_where_there_is_one(
    environment: Callable[..., None], invoke: Migrate, empty_database_url: str
) -> None:
    environment(DATABASE_URL=UNREACHABLE, DATABASE_URL_UNPOOLED=empty_database_url)

    assert step(invoke()) == (None, TURNS, REVISIONS)
