"""Conflicts that keep a change from being taken back."""

from sqlalchemy import Connection

from taskchat.tasks.audit import Conflict, take_back
from tests.support.rolled_back import ANN
from tests.support.tool_calls import Use


def test_a_missing_task_is_a_conflict_with_its_whole_row(connection: Connection, use: Use) -> None:
    created = use("create_task", title="Milk")
    row = created["after"]
    assert row is not None
    use("delete_task", task_id=row["id"])
    conflict = take_back(connection, ANN, {"before": None, "after": row})
    assert conflict == Conflict(row["id"], row, None)


def test_a_task_that_should_be_missing_is_a_conflict(connection: Connection, use: Use) -> None:
    row = use("create_task", title="Milk")["after"]
    assert row is not None
    conflict = take_back(connection, ANN, {"before": row, "after": None})
    assert conflict == Conflict(row["id"], None, row)
