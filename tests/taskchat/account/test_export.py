"""The export of everything that is stored about a person."""

from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select, update

from taskchat.account import ExportItem, ExportPage, export_page
from taskchat.account import export as export_module
from taskchat.database import Database
from taskchat.errors import InvalidRequestError
from taskchat.models import CONVERSATIONS, MESSAGES, TASKS, Role
from tests.support.owner import as_owner
from tests.taskchat.turns.transitions import ANN, BOB, finish, record_step, started, turn_request


def page_of(database: Database, cursor: str | None = None, person: Any = ANN) -> ExportPage:
    return database.transaction(person.user_id, lambda connection: export_page(connection, person.user_id, cursor))


def exported(database: Database, cursor: str | None = None) -> list[ExportItem]:
    items: list[ExportItem] = []
    while True:
        page = page_of(database, cursor)
        items += page.items
        if page.next_cursor is None:
            return items
        cursor = page.next_cursor


def keys(items: list[ExportItem]) -> list[tuple[str, Any]]:
    return [(item.table, item.data["id"]) for item in items]


def fill(database: Database, number: int) -> None:
    """Give Ann and Bob turns, messages and tasks."""
    for person in (ANN, BOB):
        for count in range(number):
            finish(database, record_step(database, started(database, turn_request(f"key {count}", None, person))))
    rows = [{"user_id": person.user_id, "title": person.subject} for person in (ANN, BOB) for _ in range(number)]
    as_owner(database, lambda connection: connection.execute(insert(TASKS), rows))


def test_every_own_row_is_exported_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROWS", "CONVERSATIONS_AT_ONCE"):
        monkeypatch.setattr(export_module, name, 2)
    fill(database, 3)
    items = exported(database)
    found = keys(items)
    assert len(found) == len(set(found)) == 1 + 3 + 3 + 3 * 3 + 3
    assert {item.table for item in items} == {"users", "tasks", "conversations", "messages", "turns"}
    assert {str(item.data["user_id"]) for item in items if "user_id" in item.data} == {str(ANN.user_id)}
    asked = [item.data["content"] for item in items if item.table == "messages" and item.data["role"] is Role.USER]
    assert asked == ["Buy milk"] * 3


def test_rows_that_come_later_are_left_out(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(database, 2)
    before = keys(exported(database))
    monkeypatch.setattr(export_module, "ROWS", 1)
    first = page_of(database)
    finish(database, started(database, turn_request("later")))
    as_owner(
        database,
        lambda connection: connection.execute(insert(TASKS).values(user_id=ANN.user_id, title="later")),
    )
    assert keys([*first.items, *exported(database, first.next_cursor)]) == before


def test_a_page_is_bounded_by_bytes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "PAGE_BYTES", 30_000)
    fill(database, 1)

    def enlarge(connection: Connection) -> None:
        connection.execute(insert(TASKS), [{"user_id": ANN.user_id, "title": "x", "description": "\x01" * 4_000}] * 4)
        talk = connection.execute(
            select(func.min(CONVERSATIONS.c.id)).where(CONVERSATIONS.c.user_id == ANN.user_id)
        ).scalar_one()
        values = {"conversation_id": talk, "role": Role.USER, "content": "y" * 500_000}
        connection.execute(insert(MESSAGES), [values] * 3)

    as_owner(database, enlarge)
    items = exported(database)
    assert sum(item.table == "tasks" for item in items) == 5
    assert [len(item.data["content"]) for item in items if item.table == "messages"][:3] == [500_000] * 3


@pytest.mark.parametrize("cursor", ["", "x", "é", "e30", "A" * 2000])
def test_a_cursor_that_was_not_made_here_is_refused(database: Database, cursor: str) -> None:
    with pytest.raises(InvalidRequestError):
        page_of(database, cursor)


def test_a_cursor_of_somebody_else_shows_own_rows(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "ROWS", 1)
    fill(database, 2)
    cursor = page_of(database, person=BOB).next_cursor
    assert {str(item.data.get("user_id", ANN.user_id)) for item in exported(database, cursor)} == {str(ANN.user_id)}


def test_an_export_shows_a_change_that_was_made(database: Database) -> None:
    fill(database, 1)
    as_owner(
        database,
        lambda connection: connection.execute(update(TASKS).values(title="new")),
    )
    assert [item.data["title"] for item in exported(database) if item.table == "tasks"] == ["new"]
