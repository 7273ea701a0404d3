"""What can be done to tasks. Every statement names the user, so that nobody reaches another person's task."""

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat.errors import NotFoundError
from taskchat.models import LARGEST_ID, SMALLEST_ID, TITLE_CHARACTERS, Priority, Task, utc_now

__all__ = [
    "DEFAULT_LIMIT",
    "DESCRIPTION_CHARACTERS",
    "LARGEST_ID",
    "LARGEST_LIMIT",
    "SMALLEST_ID",
    "TITLE_CHARACTERS",
    "Priority",
    "Status",
    "TaskChanges",
    "TaskPage",
    "TaskRecord",
    "complete",
    "create",
    "delete",
    "find",
    "get",
    "reopen",
    "update",
]

DESCRIPTION_CHARACTERS = 4000
DEFAULT_LIMIT = 50
LARGEST_LIMIT = 100

_tasks = Task.metadata.tables["tasks"]
_COLUMNS = (
    _tasks.c.id,
    _tasks.c.title,
    _tasks.c.description,
    _tasks.c.priority,
    _tasks.c.due_at,
    _tasks.c.completed,
    _tasks.c.completed_at,
    _tasks.c.created_at,
    _tasks.c.updated_at,
)
_CREATE = sa.insert(_tasks).returning(*_COLUMNS)


class Status(enum.StrEnum):
    """Which tasks a list shows."""

    ALL = "all"
    PENDING = "pending"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A task as it stands in the database; times are aware, in UTC."""

    id: int
    title: str
    description: str | None
    priority: Priority
    due_at: datetime | None
    completed: bool
    completed_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TaskPage:
    """The first tasks that fit a question, and whether there are more of them."""

    tasks: tuple[TaskRecord, ...]
    more: bool


class TaskChanges(TypedDict, total=False):
    """What an update changes; what is absent stays, and None clears."""

    title: str
    description: str | None
    priority: Priority
    due_at: datetime | None


def create(
    connection: Connection,
    user_id: uuid.UUID,
    *,
    title: str,
    description: str | None = None,
    priority: Priority = Priority.NORMAL,
    due_at: datetime | None = None,
) -> TaskRecord:
    """Add a pending task; `due_at` is aware."""
    task = {"user_id": user_id, "title": title, "description": description, "priority": priority, "due_at": due_at}
    return TaskRecord(*connection.execute(_CREATE, task).one())


def find(
    connection: Connection,
    user_id: uuid.UUID,
    *,
    status: Status = Status.ALL,
    priority: Priority | None = None,
    due_before: datetime | None = None,
    text: str | None = None,
    limit: int = DEFAULT_LIMIT,
) -> TaskPage:
    """List the tasks that fit: the pending first, the soonest due first, those without a date after them.

    `due_before` is exclusive and leaves out tasks without a date. `text` is looked for in titles and
    descriptions, wherever it stands; `%` and `_` in it mean themselves, and its case does not matter.
    """
    conditions: list[sa.ColumnElement[bool]] = [_tasks.c.user_id == user_id]
    if status is not Status.ALL:
        conditions.append(_tasks.c.completed.is_(status is Status.COMPLETED))
    if priority is not None:
        conditions.append(_tasks.c.priority == priority)
    if due_before is not None:
        conditions.append(_tasks.c.due_at < due_before)
    if text is not None:
        columns = (_tasks.c.title, _tasks.c.description)
        conditions.append(sa.or_(*(column.icontains(text, autoescape=True) for column in columns)))
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where(*conditions)
        .order_by(_tasks.c.completed, _tasks.c.due_at.asc().nulls_last(), _tasks.c.id)
        .limit(limit + 1)
    ).all()
    return TaskPage(tasks=tuple(TaskRecord(*row) for row in rows[:limit]), more=len(rows) > limit)


def get(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskRecord:
    """Return one task.

    Raises:
        NotFoundError: the person has no such task.
    """
    task = _first(connection, sa.select(*_COLUMNS).where(_is(user_id, task_id)))
    return _found(task, task_id)


def update(connection: Connection, user_id: uuid.UUID, task_id: int, changes: TaskChanges) -> TaskRecord:
    """Change what `changes` holds, and return the task as it now stands.

    Raises:
        NotFoundError: the person has no such task.
    """
    if not changes:
        return get(connection, user_id, task_id)
    task = _first(connection, _change(_is(user_id, task_id), changes))
    return _found(task, task_id)


def complete(connection: Connection, user_id: uuid.UUID, task_id: int) -> tuple[TaskRecord, bool]:
    """Complete a task; return it and whether that changed anything. A completed one keeps its `completed_at`.

    Raises:
        NotFoundError: the person has no such task.
    """
    pending = sa.and_(_is(user_id, task_id), _tasks.c.completed.is_(False))
    task = _first(connection, _change(pending, {"completed": True, "completed_at": utc_now()}))
    return (get(connection, user_id, task_id), False) if task is None else (task, True)


def reopen(connection: Connection, user_id: uuid.UUID, task_id: int) -> tuple[TaskRecord, bool]:
    """Make a completed task pending again; return it and whether that changed anything.

    Raises:
        NotFoundError: the person has no such task.
    """
    completed = sa.and_(_is(user_id, task_id), _tasks.c.completed.is_(True))
    task = _first(connection, _change(completed, {"completed": False, "completed_at": None}))
    return (get(connection, user_id, task_id), False) if task is None else (task, True)


def delete(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskRecord:
    """Delete a task for good; return it as it stood.

    Raises:
        NotFoundError: the person has no such task.
    """
    task = _first(connection, sa.delete(_tasks).where(_is(user_id, task_id)).returning(*_COLUMNS))
    return _found(task, task_id)


def _is(user_id: uuid.UUID, task_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(_tasks.c.id == task_id, _tasks.c.user_id == user_id)


def _change(condition: sa.ColumnElement[bool], values: Any) -> sa.Executable:
    return sa.update(_tasks).where(condition).values(**values).returning(*_COLUMNS)


def _first(connection: Connection, statement: sa.Executable) -> TaskRecord | None:
    row = connection.execute(statement).one_or_none()
    return None if row is None else TaskRecord(*row)


def _found(task: TaskRecord | None, task_id: int) -> TaskRecord:
    if task is None:
        raise NotFoundError(f"There is no task {task_id}.")
    return task
