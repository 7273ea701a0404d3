"""Queries on tasks, and the isolation between people."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from taskchat.errors import NotFoundError
from taskchat.models import Priority
from taskchat.tasks import queries as tasks
from taskchat.tasks.queries import StatusFilter, TaskRecord
from tests.support.rolled_back import ANN, BOB

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


def titles(connection: Connection, user: uuid.UUID = ANN, **filters: Any) -> list[str]:
    return [task.title for task in tasks.find(connection, user, **filters).tasks]


def complete(connection: Connection, title: str, **fields: Any) -> TaskRecord:
    task = tasks.create(connection, ANN, title=title, **fields)
    return tasks.complete(connection, ANN, task.id).after


def test_a_new_task_is_pending_and_of_normal_priority(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Buy milk")
    assert (task.title, task.description, task.priority) == ("Buy milk", None, Priority.NORMAL)
    assert (task.due_at, task.completed, task.completed_at) == (None, False, None)
    assert tasks.get(connection, ANN, task.id) == task


def test_a_task_keeps_all_it_was_created_with(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Buy milk", description="Oat", priority=Priority.URGENT, due_at=NOON)
    assert (task.description, task.priority, task.due_at) == ("Oat", Priority.URGENT, NOON)


def test_order_is_pending_then_soonest_due_then_oldest(connection: Connection) -> None:
    complete(connection, "done", due_at=NOON)
    for title, due_at in [("some day", None), ("later", NOON + timedelta(days=1)), ("soon", NOON), ("soon too", NOON)]:
        tasks.create(connection, ANN, title=title, due_at=due_at)
    assert titles(connection) == ["soon", "soon too", "later", "some day", "done"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["pay rent", "call mum", "sleep"]),
        ({"status": StatusFilter.PENDING}, ["pay rent", "call mum"]),
        ({"status": StatusFilter.COMPLETED}, ["sleep"]),
        ({"priority": Priority.HIGH}, ["pay rent", "sleep"]),
        ({"priority": Priority.HIGH, "status": StatusFilter.PENDING}, ["pay rent"]),
        ({"priority": Priority.LOW}, []),
        ({"due_before": NOON + timedelta(seconds=1)}, ["pay rent"]),
        ({"due_before": NOON}, []),
        ({"text": "CALL"}, ["call mum"]),
        ({"text": "birthday"}, ["call mum"]),
        ({"text": "nothing like it"}, []),
    ],
)
def test_a_list_holds_what_fits(connection: Connection, filters: dict[str, Any], expected: list[str]) -> None:
    tasks.create(connection, ANN, title="pay rent", priority=Priority.HIGH, due_at=NOON)
    tasks.create(connection, ANN, title="call mum", description="It is her Birthday")
    complete(connection, "sleep", priority=Priority.HIGH)
    assert titles(connection, **filters) == expected


@pytest.mark.parametrize("text", ["ÄPFEL", "äpfel", "Äpfel"])
def test_a_search_ignores_the_case_of_every_script(connection: Connection, text: str) -> None:
    tasks.create(connection, ANN, title="Äpfel kaufen")
    assert titles(connection, text=text) == ["Äpfel kaufen"]


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Cafe\u0301 bezahlen", "CAF\u00c9"),
        ("Caf\u00e9 bezahlen", "cafe\u0301"),
        ("\uff24\uff29\uff21\uff32\uff39", "diary"),
        ("Stra\u00dfe fegen", "STRASSE"),
        (
            "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3",
            "\u03bf\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2".replace("\u03cd", "\u03c5"),
        ),
        ("\u0130stanbul", "i\u0307STANBUL"),
    ],
)
def test_a_search_ignores_unicode_forms(connection: Connection, title: str, text: str) -> None:
    tasks.create(connection, ANN, title=title)
    assert titles(connection, text=text) == [title]


def test_a_search_follows_changes(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Milk", description="two litres")
    tasks.update(connection, ANN, task.id, {"title": "Bread"})
    assert titles(connection, text="milk") == []
    assert titles(connection, text="LITRES") == ["Bread"]
    tasks.update(connection, ANN, task.id, {"description": None})
    assert titles(connection, text="litres") == []
    assert titles(connection, text="bread") == ["Bread"]


def test_a_row_of_the_release_before_is_found(connection: Connection) -> None:
    tasks.create(connection, ANN, title="Milk")
    connection.execute(text("UPDATE tasks SET search_text = NULL"))
    assert titles(connection, text="MILK") == ["Milk"]


@pytest.mark.parametrize("wildcard", ["%", "_", "\\", "/", "'", "100%", "a_b", "%_"])
def test_a_wildcard_in_a_search_means_itself(connection: Connection, wildcard: str) -> None:
    tasks.create(connection, ANN, title=f"before {wildcard} after")
    tasks.create(connection, ANN, title="before axb 100 after", description="nothing special")
    assert titles(connection, text=wildcard) == [f"before {wildcard} after"]


@pytest.mark.parametrize(("limit", "listed", "more"), [(1, 1, True), (2, 2, True), (3, 3, False), (100, 3, False)])
def test_a_limit_cuts_the_list_and_says_so(connection: Connection, limit: int, listed: int, more: bool) -> None:
    for number in range(3):
        tasks.create(connection, ANN, title=str(number))
    page = tasks.find(connection, ANN, limit=limit)
    assert [task.title for task in page.tasks] == ["0", "1", "2"][:listed]
    assert page.more is more


def test_an_update_changes_only_what_it_is_given(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Buy milk", description="Oat", due_at=NOON)
    changed = tasks.update(connection, ANN, task.id, {"title": "Buy tea", "due_at": None}).after
    assert (changed.title, changed.description, changed.due_at) == ("Buy tea", "Oat", None)
    assert tasks.get(connection, ANN, task.id) == changed


def test_an_update_of_nothing_leaves_the_task_untouched(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Buy milk")
    assert tasks.update(connection, ANN, task.id, {}).after == task


@pytest.mark.parametrize(
    "change",
    [
        lambda connection, task_id: tasks.update(connection, ANN, task_id, {"title": "new"}),
        lambda connection, task_id: tasks.complete(connection, ANN, task_id),
    ],
)
def test_a_change_is_dated(connection: Connection, change: Callable[[Connection, int], object]) -> None:
    task = tasks.create(connection, ANN, title="old")
    connection.execute(text("UPDATE tasks SET updated_at = '2020-01-01 00:00:00.000000+00:00'"))
    change(connection, task.id)
    assert tasks.get(connection, ANN, task.id).updated_at >= task.updated_at


def test_completing_twice_keeps_the_first_time(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Buy milk")
    once = tasks.complete(connection, ANN, task.id)
    twice = tasks.complete(connection, ANN, task.id)
    assert once.after.completed
    assert once.after.completed_at is not None
    assert (twice.after, once.is_effective, twice.is_effective) == (once.after, True, False)


def test_reopening_twice_clears_the_completion_time_once(connection: Connection) -> None:
    task = complete(connection, "Buy milk")
    once = tasks.reopen(connection, ANN, task.id)
    twice = tasks.reopen(connection, ANN, task.id)
    assert (once.after.completed, once.after.completed_at) == (False, None)
    assert (twice.after, once.is_effective, twice.is_effective) == (once.after, True, False)


def test_a_deleted_task_is_gone(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Buy milk")
    assert tasks.delete(connection, ANN, task.id) == task
    with pytest.raises(NotFoundError):
        tasks.get(connection, ANN, task.id)


def test_the_id_of_a_deleted_task_is_not_given_out_again(connection: Connection) -> None:
    task = tasks.create(connection, ANN, title="Buy milk")
    tasks.delete(connection, ANN, task.id)
    assert tasks.create(connection, ANN, title="Buy bread").id > task.id


@pytest.mark.parametrize(
    "reach",
    [
        tasks.get,
        lambda connection, user, task_id: tasks.update(connection, user, task_id, {"title": "stolen"}),
        lambda connection, user, task_id: tasks.update(connection, user, task_id, {}),
        tasks.complete,
        tasks.reopen,
        tasks.delete,
    ],
)
def test_a_foreign_task_is_as_unknown_as_a_missing_one(
    connection: Connection, reach: Callable[[Connection, uuid.UUID, int], object]
) -> None:
    task = tasks.create(connection, ANN, title="Buy milk")
    with pytest.raises(NotFoundError) as foreign:
        reach(connection, BOB, task.id)
    assert tasks.delete(connection, ANN, task.id) == task
    with pytest.raises(NotFoundError) as absent:
        reach(connection, BOB, task.id)
    assert str(foreign.value) == str(absent.value)


def test_nobody_lists_or_finds_the_tasks_of_another(connection: Connection) -> None:
    tasks.create(connection, ANN, title="Buy milk")
    assert titles(connection, BOB) == []
    assert titles(connection, BOB, text="milk") == []


@pytest.mark.parametrize(
    ("operate", "expected"),
    [
        (lambda connection, _: tasks.create(connection, ANN, title="new"), 1),
        (lambda connection, _: tasks.find(connection, ANN), 1),
        (lambda connection, task_id: tasks.get(connection, ANN, task_id), 1),
        (lambda connection, task_id: tasks.update(connection, ANN, task_id, {"title": "new"}), 2),
        (lambda connection, task_id: tasks.complete(connection, ANN, task_id), 2),
        (lambda connection, task_id: tasks.delete(connection, ANN, task_id), 1),
    ],
)
def test_operations_take_few_statements(
    connection: Connection, operate: Callable[[Connection, int], object], expected: int
) -> None:
    task = tasks.create(connection, ANN, title="Buy milk")
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    operate(connection, task.id)
    assert len(statements) == expected


def test_only_the_newest_tasks_are_searched(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SEARCHED_TASKS", 2)
    for title in ("milk 1", "milk 2", "milk 3"):
        tasks.create(connection, ANN, title=title)
    assert titles(connection, text="milk") == ["milk 2", "milk 3"]
    assert len(titles(connection)) == 3
