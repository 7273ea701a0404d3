"""The actions, through the handler, on both databases."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.migrate.errors import MigrationFailedError, NotConfirmedError, SchemaMismatchError
from tests.functions.migrate.conftest import Migrate, on, step, tables
from tests.support.revisions import CONVERSATIONS, HEAD, PARENTS, REVISIONS, SCRIPTS, TURNS, USERS

TABLES = ["conversations", "feedback", "messages", "tasks", "turns", "users"]
UNREACHABLE = "postgresql://nobody:secret@127.0.0.1:1/nowhere?sslmode=require"


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
        "to_revision": HEAD,
        "applied": REVISIONS,
        "ahead": False,
        "restored": [],
    }
    assert set(TABLES) <= set(tables(empty_database_url))


def test_an_upgrade_at_the_head_does_nothing(migrated: Migrate) -> None:
    assert step(migrated()) == (HEAD, HEAD, [])


def test_an_upgrade_stops_at_the_named_revision(migrate: Migrate, empty_database_url: str) -> None:
    assert step(migrate({"action": "upgrade", "revision": "bcde"})) == (None, CONVERSATIONS, [USERS, CONVERSATIONS])
    assert tables(empty_database_url) == ["conversations", "messages", "tasks", "users"]

    assert step(migrate({"revision": "+1"})) == (CONVERSATIONS, TURNS, [TURNS])
    assert step(migrate()) == (TURNS, HEAD, REVISIONS[3:])


def test_current_tells_the_revision(migrate: Migrate, empty_database_url: str) -> None:
    before = migrate({"action": "current"})
    assert (step(before), before["head"]) == ((None, None, []), HEAD)
    assert tables(empty_database_url) == []

    migrate({"revision": CONVERSATIONS})

    after = migrate({"action": "current"})
    assert (step(after), after["head"]) == ((CONVERSATIONS, CONVERSATIONS, []), HEAD)


def test_history_lists_all_revisions_oldest_first(migrate: Migrate) -> None:
    answer = migrate({"action": "history"})

    assert step(answer) == (None, None, [])
    assert [item["revision"] for item in answer["history"]] == REVISIONS
    assert answer["history"][:2] == [
        {"revision": USERS, "down_revision": None, "description": "Users and tasks."},
        {"revision": CONVERSATIONS, "down_revision": USERS, "description": "Conversations and messages."},
    ]


def test_check_passes_at_the_head(migrated: Migrate) -> None:
    answer = migrated({"action": "check"})

    assert (step(answer), answer["differences"]) == ((HEAD, HEAD, []), [])


@pytest.mark.parametrize("action", ["check", "verify"])
@pytest.mark.parametrize("revision", ["base", USERS, CONVERSATIONS])
def test_check_and_verify_fail_before_the_head(migrate: Migrate, action: str, revision: str) -> None:
    if revision != "base":
        migrate({"revision": revision})

    with pytest.raises(SchemaMismatchError, match=f"and the head is {HEAD}"):
        migrate({"action": action})


@pytest.mark.parametrize(
    ("statement", "difference"),
    [
        ("ALTER TABLE tasks ADD COLUMN colour TEXT", "colour"),
        ("ALTER TABLE tasks DROP COLUMN description", "description"),
        ("DROP INDEX ix_tasks_user_id_completed_due_at_id", "ix_tasks_user_id_completed_due_at_id"),
        ("DROP TABLE tasks", "tasks"),
    ],
)
def test_check_fails_where_models_and_database_differ(
    migrated: Migrate, database_url: str, statement: str, difference: str
) -> None:
    on(database_url, statement)

    with pytest.raises(SchemaMismatchError, match=f"differ: .*{difference}"):
        migrated({"action": "check"})


def test_check_fails_without_the_triggers(migrated: Migrate, database_url: str, backend: str) -> None:
    trigger, table = (
        ("messages_append_only", " ON messages") if backend == "postgres" else ("messages_append_only_update", "")
    )
    on(database_url, f"DROP TRIGGER {trigger}{table}")

    with pytest.raises(SchemaMismatchError, match=f"trigger {trigger} is missing"):
        migrated({"action": "check"})


def test_sql_shows_the_statements_of_an_upgrade(
    migrate: Migrate, empty_database_url: str, run_script: Callable[[str, str], None]
) -> None:
    answer = migrate({"action": "sql"})
    assert (step(answer), tables(empty_database_url)) == ((None, HEAD, []), [])

    run_script(empty_database_url, answer["sql"])

    assert migrate({"action": "verify"})["to_revision"] == HEAD
    assert migrate({"action": "check"})["differences"] == []


@pytest.mark.parametrize(
    ("revision", "source", "destination", "statement"),
    [
        ("bcde77eeb26a:head", CONVERSATIONS, HEAD, "CREATE TABLE turns"),
        ("base:4f1d0c7a92be", None, USERS, "CREATE TABLE users"),
        ("head:bcde77eeb26a", HEAD, CONVERSATIONS, "DROP TABLE turns"),
    ],
)
def test_sql_shows_a_part_of_the_way(
    migrate: Migrate, revision: str, source: str | None, destination: str, statement: str
) -> None:
    answer = migrate({"action": "sql", "revision": revision})

    assert step(answer) == (source, destination, [])
    assert statement in answer["sql"]
    assert "CREATE TABLE conversations" not in answer["sql"]


def test_sql_needs_no_database(environment: Callable[..., None], invoke: Migrate) -> None:
    environment(DATABASE_URL=UNREACHABLE)

    assert "CREATE TABLE users" in invoke({"action": "sql"})["sql"]


def test_stamp_records_a_revision_and_nothing_else(migrate: Migrate, empty_database_url: str) -> None:
    assert step(migrate({"action": "stamp", "revision": "bcde77eeb26a"})) == (None, CONVERSATIONS, [])
    assert tables(empty_database_url) == []

    assert step(migrate({"action": "stamp", "revision": "base"})) == (CONVERSATIONS, None, [])


@pytest.mark.parametrize(
    ("revision", "destination", "undone"),
    [
        ("-1", PARENTS[HEAD], REVISIONS[:-2:-1]),
        ("4f1d", USERS, REVISIONS[:0:-1]),
        ("base", None, REVISIONS[::-1]),
    ],
)
def test_a_downgrade_undoes_the_newest_first(
    migrated: Migrate, revision: str, destination: str | None, undone: list[str]
) -> None:
    answer = migrated({"action": "downgrade", "revision": revision, "confirm": True})

    assert step(answer) == (HEAD, destination, undone)
    assert migrated({"action": "current"})["to_revision"] == destination


@pytest.mark.parametrize("revision", ["base", USERS, CONVERSATIONS])
@pytest.mark.parametrize("confirm", [{}, {"confirm": False}])
def test_an_unconfirmed_downgrade_tells_its_losses(migrated: Migrate, revision: str, confirm: dict[str, bool]) -> None:
    event: dict[str, Any] = {"action": "downgrade", "revision": revision}

    with pytest.raises(NotConfirmedError, match=r'loses .*idempotency keys.*"confirm": true') as refusal:
        migrated(event | confirm)

    assert migrated({"action": "verify"})["to_revision"] == HEAD
    told = migrated(event | {"confirm": True})["losses"]
    assert f"loses {'; '.join(told)}." in str(refusal.value)
    assert ("all users and tasks" in told) == (revision == "base")
    assert ("all conversations and messages" in told) == (revision != CONVERSATIONS)


def test_a_downgrade_without_losses_says_so(migrate: Migrate) -> None:
    harmless = [revision for revision in REVISIONS if not SCRIPTS.get_revision(revision).module.LOSSES]
    migrate({"revision": harmless[0]})

    with pytest.raises(NotConfirmedError, match="loses no data"):
        migrate({"action": "downgrade", "revision": "-1"})


@pytest.mark.parametrize(
    "event",
    [
        {"action": "upgrade", "revision": "0123456789ab"},
        {"action": "stamp", "revision": "0123456789ab"},
        {"action": "sql", "revision": "0123456789ab"},
        {"action": "downgrade", "revision": "head", "confirm": True},
        {"action": "downgrade", "revision": "0123456789ab", "confirm": True},
        {"action": "downgrade", "revision": "0123456789ab"},
    ],
)
def test_an_unreachable_revision_changes_nothing(migrate: Migrate, event: dict[str, Any]) -> None:
    migrate({"revision": CONVERSATIONS})

    with pytest.raises(MigrationFailedError, match=r"0123456789ab|not an ancestor"):
        migrate(event)

    assert migrate({"action": "current"})["to_revision"] == CONVERSATIONS


def test_the_unpooled_url_is_preferred(
    environment: Callable[..., None], invoke: Migrate, empty_database_url: str
) -> None:
    environment(DATABASE_URL=UNREACHABLE, DATABASE_URL_UNPOOLED=empty_database_url)

    assert step(invoke()) == (None, HEAD, REVISIONS)
