"""Queries on tasks. Every statement names the user, so that nobody reaches another person's task."""

import enum
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa
from sqlalchemy import Connection

from taskchat import cursors
from taskchat.errors import NotFoundError, TooManyTasksError
from taskchat.models import TASKS, Priority, utc_now
from taskchat.text import searchable

DEFAULT_LIMIT = 50
MOST_TASKS = 10_000
"""Tasks that one person may have."""
SEARCHED_TASKS = 2_000
"""A search looks at this many of the newest tasks, so that its work is bounded whatever a person stores."""
_NO_DATE = 2**63 - 1
"""The place of a task without a date in a cursor: after every date."""
_COLUMNS = (
    TASKS.c.id,
    TASKS.c.title,
    TASKS.c.description,
    TASKS.c.priority,
    TASKS.c.due_at,
    TASKS.c.completed,
    TASKS.c.completed_at,
    TASKS.c.created_at,
    TASKS.c.updated_at,
)


class StatusFilter(enum.StrEnum):
    """A choice of tasks by their state."""

    ALL = "all"
    PENDING = "pending"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """A row of `tasks`; times are aware, in UTC."""

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
class TaskChange:
    """A task before and after an operation; the two are the same if nothing had to be changed."""

    before: TaskRecord
    after: TaskRecord

    @property
    def is_effective(self) -> bool:
        """Tell whether the operation changed the row."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some of the tasks that match, and the cursor of the page after them; None on the last page."""

    tasks: tuple[TaskRecord, ...]
    next_cursor: str | None

    @property
    def more(self) -> bool:
        """Tell whether there are more tasks that match."""
        return self.next_cursor is not None


class TaskChanges(TypedDict, total=False):
    """The columns to change. A missing key leaves the column as it is, and None clears it."""

    title: str
    description: str | None
    priority: Priority
    due_at: datetime | None


def _creation() -> sa.Insert:
    """Return the INSERT of a task of a person who has room for it. Its parameters are named as the columns."""
    columns = (
        TASKS.c.user_id,
        TASKS.c.title,
        TASKS.c.description,
        TASKS.c.search_text,
        TASKS.c.priority,
        TASKS.c.due_at,
    )
    row = {column.name: sa.bindparam(column.name, type_=column.type) for column in columns}
    own = sa.select(TASKS.c.id).where(TASKS.c.user_id == row["user_id"]).limit(MOST_TASKS).subquery()
    has_room = sa.select(sa.func.count()).select_from(own).scalar_subquery() < MOST_TASKS
    values = sa.select(*row.values()).where(has_room)
    return sa.insert(TASKS).from_select(list(row), values, include_defaults=False).returning(*_COLUMNS)


_CREATE = _creation()


def create(
    connection: Connection,
    user_id: uuid.UUID,
    *,
    title: str,
    description: str | None = None,
    priority: Priority = Priority.NORMAL,
    due_at: datetime | None = None,
) -> TaskRecord:
    """Add a pending task; `due_at` is aware.

    Raises:
        TooManyTasksError: the person has `MOST_TASKS` already. Simultaneous calls may exceed the number by a few.
    """
    values = {
        "user_id": user_id,
        "title": title,
        "description": description,
        "search_text": _search_text(title, description),
        "priority": priority,
        "due_at": due_at,
    }
    if (created := connection.execute(_CREATE, values).one_or_none()) is None:
        raise TooManyTasksError(f"There are {MOST_TASKS:,} tasks, which is the most. Delete some before you add more.")
    return TaskRecord(*created)


def find(
    connection: Connection,
    user_id: uuid.UUID,
    *,
    status: StatusFilter = StatusFilter.ALL,
    priority: Priority | None = None,
    due_before: datetime | None = None,
    text: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> TaskPage:
    """List the tasks that match: pending first, soonest due first, tasks without a date last.

    `due_before` is exclusive and leaves out tasks without a date. `text` is searched in titles and descriptions, in any
    case and any Unicode form; `%` and `_` in it are ordinary characters. Only the newest
    `SEARCHED_TASKS` tasks are searched. A task that changes during paging takes its new place, and no other is
    repeated or skipped.

    Raises:
        InvalidRequestError: the cursor does not belong to the list with these filters.
    """
    scope = f"tasks of {user_id}: {status} {priority} {due_before} {text}"
    conditions: list[sa.ColumnElement[bool]] = [TASKS.c.user_id == user_id]
    if priority is not None:
        conditions.append(TASKS.c.priority == priority)
    if due_before is not None:
        conditions.append(TASKS.c.due_at < due_before)
    if text is not None:
        conditions.append(_contains(connection, user_id, searchable(text)))
    sections = [
        sa.select(*_COLUMNS)
        .where(section, *conditions)
        .order_by(TASKS.c.due_at, TASKS.c.id)
        .limit(limit + 1)
        .subquery()
        .select()
        for section in _sections(status, has_date=due_before is not None, after=_position(cursor, scope))
    ]
    if not sections:
        raise cursors.invalid()
    listed = sa.union_all(*sections).subquery()
    order = (listed.c.completed, listed.c.due_at.asc().nulls_last(), listed.c.id)
    rows = connection.execute(sa.select(listed).order_by(*order).limit(limit + 1)).all()
    tasks = tuple(TaskRecord(*row) for row in rows[:limit])
    return TaskPage(tasks, _cursor(tasks[-1], scope) if len(rows) > limit else None)


def get(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskRecord:
    """Return one task.

    Raises:
        NotFoundError: the person has no such task.
    """
    task = _first(connection, sa.select(*_COLUMNS).where(_is(user_id, task_id)))
    return _found(task, task_id)


def get_locked(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskRecord:
    """Return one task and lock its row until COMMIT.

    Raises:
        NotFoundError: the person has no such task.
    """
    return _found(locked(connection, user_id, task_id), task_id)


def update(connection: Connection, user_id: uuid.UUID, task_id: int, changes: TaskChanges) -> TaskChange:
    """Change these columns.

    Raises:
        NotFoundError: the person has no such task.
    """
    current = get_locked(connection, user_id, task_id)
    if not changes:
        return TaskChange(current, current)
    title, description = changes.get("title", current.title), changes.get("description", current.description)
    values = {**changes, "search_text": _search_text(title, description)}
    return TaskChange(current, _changed(connection, user_id, task_id, values))


def complete(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskChange:
    """Complete a task. A completed one stays as it is.

    Raises:
        NotFoundError: the person has no such task.
    """
    current = get_locked(connection, user_id, task_id)
    if current.completed:
        return TaskChange(current, current)
    values = {"completed": True, "completed_at": utc_now()}
    return TaskChange(current, _changed(connection, user_id, task_id, values))


def reopen(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskChange:
    """Make a completed task pending again. A pending one stays as it is.

    Raises:
        NotFoundError: the person has no such task.
    """
    current = get_locked(connection, user_id, task_id)
    if not current.completed:
        return TaskChange(current, current)
    values = {"completed": False, "completed_at": None}
    return TaskChange(current, _changed(connection, user_id, task_id, values))


def delete(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskRecord:
    """Delete a task and return its last state.

    Raises:
        NotFoundError: the person has no such task.
    """
    task = _first(connection, sa.delete(TASKS).where(_is(user_id, task_id)).returning(*_COLUMNS))
    return _found(task, task_id)


def _sections(
    status: StatusFilter, *, has_date: bool, after: tuple[bool, datetime | None, int] | None
) -> Iterator[sa.ColumnElement[bool]]:
    """Split the list after a position into ranges of the index: pending before completed, and dated before undated.

    One condition over all of them would make every page walk the list from its start.
    """
    is_past = after is None
    for completed in (False, True):
        for dated in (True, False):
            section = sa.and_(
                TASKS.c.completed.is_(completed), TASKS.c.due_at.is_not(None) if dated else TASKS.c.due_at.is_(None)
            )
            if after is not None and (completed, dated) == (after[0], after[1] is not None):
                rest = sa.tuple_(TASKS.c.due_at, TASKS.c.id) > sa.tuple_(*after[1:]) if dated else TASKS.c.id > after[2]
                section, is_past = sa.and_(section, rest), True
            is_asked = status is StatusFilter.ALL or completed is (status is StatusFilter.COMPLETED)
            if is_past and is_asked and (dated or not has_date):
                yield section


def _cursor(task: TaskRecord, scope: str) -> str:
    due = _NO_DATE if task.due_at is None else cursors.microseconds(task.due_at)
    return cursors.encode((int(task.completed), due, task.id), scope)


def _position(cursor: str | None, scope: str) -> tuple[bool, datetime | None, int] | None:
    if cursor is None:
        return None
    completed, due, task_id = cursors.decode(cursor, scope, 3)
    return bool(completed), None if due == _NO_DATE else cursors.moment(due), task_id


def locked(connection: Connection, user_id: uuid.UUID, task_id: int) -> TaskRecord | None:
    """Return a task and lock its row until COMMIT, or return None if the person has no such task."""
    return _first(connection, sa.select(*_COLUMNS).where(_is(user_id, task_id)).with_for_update())


def put(connection: Connection, user_id: uuid.UUID, task: TaskRecord, *, is_new: bool) -> None:
    """Write a whole row as it stood once, with its id and its times. `is_new` tells that there is no such row."""
    values = {column.name: getattr(task, column.name) for column in _COLUMNS}
    values["search_text"] = _search_text(task.title, task.description)
    if is_new:
        connection.execute(sa.insert(TASKS).values(**values, user_id=user_id))
    else:
        connection.execute(sa.update(TASKS).where(_is(user_id, task.id)).values(**values))


def _contains(connection: Connection, user_id: uuid.UUID, text: str) -> sa.ColumnElement[bool]:
    """Return the condition that a task is one of the newest `SEARCHED_TASKS` and contains a text."""
    # PostgreSQL moves no condition into a subquery with a limit, so it looks at no other task's text.
    newest = (
        sa.select(TASKS.c.id, TASKS.c.title, TASKS.c.description, TASKS.c.search_text)
        .where(TASKS.c.user_id == user_id)
        .order_by(TASKS.c.id.desc())
        .limit(SEARCHED_TASKS)
        .subquery("newest")
    )
    # A row that the release before wrote has no search text.
    written = sa.func.lower(newest.c.title + "\n" + sa.func.coalesce(newest.c.description, ""))
    searched = sa.func.coalesce(newest.c.search_text, written)
    is_found: sa.ColumnElement[bool]
    if connection.dialect.name == "postgresql":
        # LIKE compares the pattern again at each character of a text that almost matches. A regular expression reads
        # each character once. `***=` makes the rest of it a literal string (PostgreSQL, section 9.7.3.4).
        is_found = searched.op("~", is_comparison=True)(sa.literal("***=" + text))
    else:
        is_found = searched.contains(text, autoescape=True)
    # All sections of the list refer to one common table expression, so that the search is done once.
    found = sa.select(newest.c.id).where(is_found).cte("found")
    return TASKS.c.id.in_(sa.select(found.c.id))


def _search_text(title: str, description: str | None) -> str:
    return searchable(f"{title}\n{description or ''}")


def _is(user_id: uuid.UUID, task_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(TASKS.c.id == task_id, TASKS.c.user_id == user_id)


def _changed(connection: Connection, user_id: uuid.UUID, task_id: int, values: Any) -> TaskRecord:
    statement = sa.update(TASKS).where(_is(user_id, task_id)).values(**values).returning(*_COLUMNS)
    return TaskRecord(*connection.execute(statement).one())


def _first(connection: Connection, statement: sa.Executable) -> TaskRecord | None:
    row = connection.execute(statement).one_or_none()
    return None if row is None else TaskRecord(*row)


def _found(task: TaskRecord | None, task_id: int) -> TaskRecord:
    if task is None:
        raise NotFoundError(f"There is no task {task_id}.")
    return task
