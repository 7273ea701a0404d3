"""What can be done to tasks, and to nobody else's."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from taskchat import tasks
from taskchat.errors import NotFoundError
from taskchat.models import Priority
from taskchat.tasks import Status, TaskRecord
from tests.support import rolled_back
from tests.support.rolled_back import ANN, BOB

session = rolled_back.session
shared_database = rolled_back.shared_database
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


def titles(session: Session, user: uuid.UUID = ANN, **filters: Any) -> list[str]:
    return [task.title for task in tasks.find(session, user, **filters).tasks]


def complete(session: Session, title: str, **fields: Any) -> TaskRecord:
    task = tasks.create(session, ANN, title=title, **fields)
    return tasks.complete(session, ANN, task.id)[0]


def test_a_new_task_is_pending_and_of_normal_priority(session: Session) -> None:
    task = tasks.create(session, ANN, title="Buy milk")
    assert (task.title, task.description, task.priority) == ("Buy milk", None, Priority.NORMAL)
    assert (task.due_at, task.completed, task.completed_at) == (None, False, None)
    assert tasks.get(session, ANN, task.id) == task


def test_a_task_keeps_all_it_was_created_with(session: Session) -> None:
    task = tasks.create(session, ANN, title="Buy milk", description="Oat", priority=Priority.URGENT, due_at=NOON)
    assert (task.description, task.priority, task.due_at) == ("Oat", Priority.URGENT, NOON)


def test_pending_tasks_come_first_then_the_soonest_due_then_the_oldest(session: Session) -> None:
    complete(session, "done", due_at=NOON)
    for title, due_at in [("some day", None), ("later", NOON + timedelta(days=1)), ("soon", NOON), ("soon too", NOON)]:
        tasks.create(session, ANN, title=title, due_at=due_at)
    assert titles(session) == ["soon", "soon too", "later", "some day", "done"]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["pay rent", "call mum", "sleep"]),
        ({"status": Status.PENDING}, ["pay rent", "call mum"]),
        ({"status": Status.COMPLETED}, ["sleep"]),
        ({"priority": Priority.HIGH}, ["pay rent", "sleep"]),
        ({"priority": Priority.HIGH, "status": Status.PENDING}, ["pay rent"]),
        ({"priority": Priority.LOW}, []),
        ({"due_before": NOON + timedelta(seconds=1)}, ["pay rent"]),
        ({"due_before": NOON}, []),
        ({"text": "CALL"}, ["call mum"]),
        ({"text": "birthday"}, ["call mum"]),
        ({"text": "nothing like it"}, []),
    ],
)
def test_a_list_holds_what_fits(session: Session, filters: dict[str, Any], expected: list[str]) -> None:
    tasks.create(session, ANN, title="pay rent", priority=Priority.HIGH, due_at=NOON)
    tasks.create(session, ANN, title="call mum", description="It is her Birthday")
    complete(session, "sleep", priority=Priority.HIGH)
    assert titles(session, **filters) == expected


@pytest.mark.parametrize("text", ["ÄPFEL", "äpfel", "Äpfel"])
def test_a_search_ignores_the_case_of_every_script(session: Session, text: str) -> None:
    tasks.create(session, ANN, title="Äpfel kaufen")
    assert titles(session, text=text) == ["Äpfel kaufen"]


@pytest.mark.parametrize("wildcard", ["%", "_", "\\", "/", "'", "100%", "a_b", "%_"])
def test_a_wildcard_in_a_search_means_itself(session: Session, wildcard: str) -> None:
    tasks.create(session, ANN, title=f"before {wildcard} after")
    tasks.create(session, ANN, title="before axb 100 after", description="nothing special")
    assert titles(session, text=wildcard) == [f"before {wildcard} after"]


@pytest.mark.parametrize(("limit", "listed", "more"), [(1, 1, True), (2, 2, True), (3, 3, False), (100, 3, False)])
def test_a_limit_cuts_the_list_and_says_so(session: Session, limit: int, listed: int, more: bool) -> None:
    for number in range(3):
        tasks.create(session, ANN, title=str(number))
    page = tasks.find(session, ANN, limit=limit)
    assert [task.title for task in page.tasks] == ["0", "1", "2"][:listed]
    assert page.more is more


def test_an_update_changes_only_what_it_is_given(session: Session) -> None:
    task = tasks.create(session, ANN, title="Buy milk", description="Oat", due_at=NOON)
    changed = tasks.update(session, ANN, task.id, {"title": "Buy tea", "due_at": None})
    assert (changed.title, changed.description, changed.due_at) == ("Buy tea", "Oat", None)
    assert tasks.get(session, ANN, task.id) == changed


def test_an_update_of_nothing_leaves_the_task_untouched(session: Session) -> None:
    task = tasks.create(session, ANN, title="Buy milk")
    assert tasks.update(session, ANN, task.id, {}) == task


@pytest.mark.parametrize(
    "change",
    [
        lambda session, task_id: tasks.update(session, ANN, task_id, {"title": "new"}),
        lambda session, task_id: tasks.complete(session, ANN, task_id),
    ],
)
def test_a_change_is_dated(session: Session, change: Callable[[Session, int], object]) -> None:
    task = tasks.create(session, ANN, title="old")
    session.execute(text("UPDATE tasks SET updated_at = '2020-01-01 00:00:00.000000+00:00'"))
    change(session, task.id)
    assert tasks.get(session, ANN, task.id).updated_at >= task.updated_at


def test_completing_twice_keeps_the_first_time(session: Session) -> None:
    task = tasks.create(session, ANN, title="Buy milk")
    first, changed_first = tasks.complete(session, ANN, task.id)
    second, changed_second = tasks.complete(session, ANN, task.id)
    assert first.completed
    assert first.completed_at is not None
    assert (second, changed_first, changed_second) == (first, True, False)


def test_reopening_clears_the_time_of_completion_and_twice_is_once(session: Session) -> None:
    task = complete(session, "Buy milk")
    first, changed_first = tasks.reopen(session, ANN, task.id)
    second, changed_second = tasks.reopen(session, ANN, task.id)
    assert (first.completed, first.completed_at) == (False, None)
    assert (second, changed_first, changed_second) == (first, True, False)


def test_a_deleted_task_is_gone(session: Session) -> None:
    task = tasks.create(session, ANN, title="Buy milk")
    assert tasks.delete(session, ANN, task.id) == task
    with pytest.raises(NotFoundError):
        tasks.get(session, ANN, task.id)


def test_the_id_of_a_deleted_task_is_not_given_out_again(session: Session) -> None:
    task = tasks.create(session, ANN, title="Buy milk")
    tasks.delete(session, ANN, task.id)
    assert tasks.create(session, ANN, title="Buy bread").id > task.id


@pytest.mark.parametrize(
    "reach",
    [
        tasks.get,
        lambda session, user, task_id: tasks.update(session, user, task_id, {"title": "stolen"}),
        lambda session, user, task_id: tasks.update(session, user, task_id, {}),
        tasks.complete,
        tasks.reopen,
        tasks.delete,
    ],
)
def test_the_task_of_another_is_not_found_in_the_words_of_one_that_does_not_exist(
    session: Session, reach: Callable[[Session, uuid.UUID, int], object]
) -> None:
    task = tasks.create(session, ANN, title="Buy milk")
    with pytest.raises(NotFoundError) as foreign:
        reach(session, BOB, task.id)
    assert tasks.delete(session, ANN, task.id) == task
    with pytest.raises(NotFoundError) as absent:
        reach(session, BOB, task.id)
    assert str(foreign.value) == str(absent.value)


def test_nobody_lists_or_finds_the_tasks_of_another(session: Session) -> None:
    tasks.create(session, ANN, title="Buy milk")
    assert titles(session, BOB) == []
    assert titles(session, BOB, text="milk") == []


@pytest.mark.parametrize(
    "operate",
    [
        lambda session, _: tasks.create(session, ANN, title="new"),
        lambda session, _: tasks.find(session, ANN),
        lambda session, task_id: tasks.get(session, ANN, task_id),
        lambda session, task_id: tasks.update(session, ANN, task_id, {"title": "new"}),
        lambda session, task_id: tasks.complete(session, ANN, task_id),
        lambda session, task_id: tasks.delete(session, ANN, task_id),
    ],
)
def test_each_operation_is_one_statement(session: Session, operate: Callable[[Session, int], object]) -> None:
    task = tasks.create(session, ANN, title="Buy milk")
    statements: list[str] = []
    event.listen(session.connection(), "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    operate(session, task.id)
    assert len(statements) == 1
