"""Tasks in the audit trail: whole rows as JSON, and how a row is set back to what the trail says."""

import uuid
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection

from taskchat.tasks import queries
from taskchat.tasks.queries import TaskRecord
from taskchat.toolkit import Change

_ROW = TypeAdapter(TaskRecord)


@dataclass(frozen=True, slots=True)
class Conflict:
    """A task that is no longer as a call left it, with the fields that differ; None is a task that does not exist."""

    id: int
    expected: Mapping[str, Any] | None
    found: Mapping[str, Any] | None


def audited(task: TaskRecord) -> dict[str, Any]:
    """Return the whole row as JSON; times are in UTC, exact to the microsecond."""
    row: dict[str, Any] = _ROW.dump_python(task, mode="json")
    return row


def take_back(
    connection: Connection, user_id: uuid.UUID, change: Change, *, skip: Container[int] = ()
) -> Conflict | None:
    """Set a person's task to its state before the change: ids, times and all.

    Nothing is written if the task is not exactly as the change left it. The conflict is returned instead.
    Tasks whose ids are in `skip` are left alone, because an earlier conflict explains theirs.
    """
    before, after = _read(change["before"]), _read(change["after"])
    task_id = (before or after).id  # type: ignore[union-attr]  # one of the two exists
    if task_id in skip:
        return None
    found = queries.locked(connection, user_id, task_id)
    if found != after:
        return _conflict(task_id, after, found)
    if before is None:
        queries.delete(connection, user_id, task_id)
    else:
        queries.put(connection, user_id, before, is_new=after is None)
    return None


def _read(row: Mapping[str, Any] | None) -> TaskRecord | None:
    return None if row is None else _ROW.validate_python(row)


def _conflict(task_id: int, expected: TaskRecord | None, found: TaskRecord | None) -> Conflict:
    if expected is None or found is None:
        return Conflict(
            task_id, None if expected is None else audited(expected), None if found is None else audited(found)
        )
    left, now = audited(expected), audited(found)
    fields = [name for name in left if left[name] != now[name]]
    return Conflict(task_id, {name: left[name] for name in fields}, {name: now[name] for name in fields})
