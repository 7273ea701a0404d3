"""Undo restores rows exactly, on both databases, whatever the calls were."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select, update

from taskchat import undo
from taskchat.errors import (
    AlreadyUndoneError,
    ChangedSinceError,
    ConversationDeletedError,
    NotFoundError,
    NothingToUndoError,
    TurnInProgressError,
)
from taskchat.models import CONVERSATIONS, MESSAGES, TASKS, TURNS, Role, TurnStatus
from taskchat.toolkit import ToolCall, ToolRequest
from taskchat.tools import call
from tests.support import rolled_back, tool_calls
from tests.support.rolled_back import ANN, BOB
from tests.support.tool_calls import Use, record_turn, result

connection = rolled_back.connection
shared_database = rolled_back.shared_database
use = tool_calls.use

UTC = ZoneInfo("UTC")
TITLES = st.sampled_from(["Milk", "Bread", "Straße", "日本 %_"])
TASK = st.integers(0, 4)
STEP = st.one_of(
    st.fixed_dictionaries(
        {"tool": st.just("create_task"), "title": TITLES},
        optional={"description": TITLES, "due_at": st.just("2026-03-31"), "priority": st.just("high")},
    ),
    st.fixed_dictionaries(
        {"tool": st.just("update_task"), "task": TASK, "title": TITLES},
        optional={"clear": st.just(["description", "due_at"])},
    ),
    st.fixed_dictionaries({"tool": st.sampled_from(["complete_task", "reopen_task", "delete_task"]), "task": TASK}),
    st.fixed_dictionaries({"tool": st.sampled_from(["list_tasks", "undo_last_change"])}),
)
TURNS_OF_STEPS = st.lists(st.lists(STEP, min_size=1, max_size=4), max_size=6)

Row = dict[str, Any]


def rows(connection: Connection) -> list[Row]:
    statement = select(TASKS).where(TASKS.c.user_id == ANN).order_by(TASKS.c.id)
    return [dict(row._mapping) for row in connection.execute(statement)]


def run_turn(connection: Connection, steps: Sequence[Mapping[str, Any]]) -> uuid.UUID:
    """Run each call as a step of one turn, as the agent does."""
    turn_id = record_turn(connection, status=TurnStatus.RUNNING)
    conversation_id = connection.execute(select(TURNS.c.conversation_id).where(TURNS.c.id == turn_id)).scalar_one()
    recorded: list[Mapping[str, Any]] = []
    for step in steps:
        arguments = {name: value for name, value in step.items() if name not in ("tool", "task")}
        if "task" in step:
            known = [row["id"] for row in rows(connection)] or [1]
            arguments["task_id"] = known[step["task"] % len(known)]
        request = ToolRequest("call", step["tool"], json.dumps(arguments))
        recorded.append(
            call(connection, request, user_id=ANN, time_zone=UTC, turn_id=turn_id, earlier_calls=tuple(recorded))
        )
        shared = {"conversation_id": conversation_id, "turn_id": turn_id, "content": ""}
        connection.execute(insert(MESSAGES).values(**shared, role=Role.ASSISTANT, tool_calls=[recorded[-1]]))
    connection.execute(update(TURNS).where(TURNS.c.id == turn_id).values(status=TurnStatus.FINISHED))
    return turn_id


def undo_turn(connection: Connection, turn_id: uuid.UUID) -> uuid.UUID:
    by = uuid.uuid4()
    turn = undo.lock(connection, ANN, turn_id)
    undone = undo.take_back(connection, turn, by=by)
    undo.record(connection, turn, undone, turn_id=by, idempotency_key=str(by), request_hash="")
    return by


def undone_by(connection: Connection, turn_id: uuid.UUID) -> uuid.UUID | None:
    statement = select(TURNS.c.undone_by_turn_id).where(TURNS.c.id == turn_id)
    by: uuid.UUID | None = connection.execute(statement).scalar_one()
    return by


@settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(turns=TURNS_OF_STEPS)
def test_undoing_all_turns_restores_the_tasks(connection: Connection, turns: list[list[Row]]) -> None:
    point = connection.begin_nested()
    states: list[list[Row]] = []
    done: list[uuid.UUID] = []
    for steps in turns:
        states.append(rows(connection))
        done.append(run_turn(connection, steps))
    states.append(rows(connection))

    undos: list[uuid.UUID] = []
    for turn_id, before in zip(reversed(done), reversed(states[:-1]), strict=True):
        # A turn may have changed nothing, or may be undone by an undo_last_change of a later turn.
        if undo.has_changes(connection, undo.lock(connection, ANN, turn_id)):
            undos.append(undo_turn(connection, turn_id))
        assert rows(connection) == before
    for undo_id in reversed(undos):
        undo_turn(connection, undo_id)
    assert rows(connection) == states[-1]
    marked = [undone_by(connection, turn_id) for turn_id in undos]
    assert None not in marked
    point.rollback()


def test_the_tool_goes_back_change_by_change(connection: Connection, use: Use) -> None:
    states = []
    for title in ("One", "Two", "Three"):
        states.append(rows(connection))
        record_turn(connection, use("create_task", title=title))
    record_turn(connection, use("list_tasks"))
    for before in reversed(states):
        assert len(result(use("undo_last_change"))["tasks"]) == 1
        assert rows(connection) == before
    assert result(use("undo_last_change")) == {"turn_id": None, "tasks": []}


def test_the_tool_tells_what_was_taken_back(connection: Connection, use: Use) -> None:
    created = use("create_task", title="Milk")
    task_id = result(created)["id"]
    turn_id = record_turn(connection, created, use("complete_task", task_id=task_id))
    recorded = use("undo_last_change")
    assert result(recorded) == {
        "turn_id": str(turn_id),
        "tasks": [
            {"id": task_id, "title": "Milk", "undone": "complete_task", "now": "changed back"},
            {"id": task_id, "title": "Milk", "undone": "create_task", "now": "deleted"},
        ],
    }
    assert [change["after"] is None for change in recorded["changes"]] == [False, True]


def test_the_tool_does_not_undo_its_own_turn(connection: Connection) -> None:
    run_turn(connection, [{"tool": "create_task", "title": "Milk"}])
    run_turn(connection, [{"tool": "create_task", "title": "Bread"}, {"tool": "undo_last_change"}])
    assert [row["title"] for row in rows(connection)] == ["Milk", "Bread"]


def test_a_task_changed_since_is_a_conflict(connection: Connection, use: Use) -> None:
    created = use("create_task", title="Milk")
    task_id = result(created)["id"]
    other = use("create_task", title="Bread")
    turn_id = record_turn(connection, created, other)
    changed = use("update_task", task_id=task_id, priority="high")
    before = rows(connection)
    with pytest.raises(ChangedSinceError) as caught, connection.begin_nested():
        undo_turn(connection, turn_id)
    assert rows(connection) == before
    [conflict] = caught.value.members()["conflicts"]
    assert conflict["id"] == task_id
    assert conflict["expected"] == {"priority": "normal", "updated_at": created["after"]["updated_at"]}  # type: ignore[index]
    assert conflict["found"] == {"priority": "high", "updated_at": changed["after"]["updated_at"]}  # type: ignore[index]


def test_the_tool_reports_a_conflict_to_the_model(connection: Connection, use: Use) -> None:
    created = use("create_task", title="Milk")
    record_turn(connection, created)
    use("delete_task", task_id=result(created)["id"])
    assert use("undo_last_change")["error"]["code"] == "changed-since"


def test_nothing_is_undone_twice(connection: Connection, use: Use) -> None:
    turn_id = record_turn(connection, use("create_task", title="Milk"))
    undo_turn(connection, turn_id)
    with pytest.raises(AlreadyUndoneError):
        undo_turn(connection, turn_id)


def test_undo_of_undo_of_undo_keeps_the_marks(connection: Connection, use: Use) -> None:
    turn_id = record_turn(connection, use("create_task", title="Milk"))
    there = rows(connection)
    first = undo_turn(connection, turn_id)
    second = undo_turn(connection, first)
    assert (rows(connection), undone_by(connection, turn_id)) == (there, None)
    undo_turn(connection, second)
    assert (rows(connection), undone_by(connection, turn_id), undone_by(connection, first)) == ([], first, None)


@pytest.mark.parametrize("calls", [[], ["list_tasks"]])
def test_a_turn_without_changes_has_nothing_to_undo(connection: Connection, use: Use, calls: list[str]) -> None:
    turn_id = record_turn(connection, *[use(name) for name in calls])
    with pytest.raises(NothingToUndoError, match="changed nothing"):
        undo_turn(connection, turn_id)


def as_an_earlier_release(recorded: ToolCall) -> ToolCall:
    """Return a record as it was before changes were recorded."""
    return {name: value for name, value in recorded.items() if name not in ("before", "after")}  # type: ignore[return-value]


def test_a_change_of_an_earlier_release_is_not_guessed(connection: Connection, use: Use) -> None:
    record_turn(connection, use("create_task", title="Before"))
    turn_id = record_turn(connection, as_an_earlier_release(use("create_task", title="Milk")))
    with pytest.raises(NothingToUndoError, match="before changes could be undone"):
        undo_turn(connection, turn_id)
    assert use("undo_last_change")["error"]["code"] == "nothing-to-undo"
    assert len(rows(connection)) == 2


@pytest.mark.parametrize("status", [TurnStatus.QUEUED, TurnStatus.RUNNING])
def test_a_turn_under_way_cannot_be_undone(connection: Connection, use: Use, status: TurnStatus) -> None:
    turn_id = record_turn(connection, use("create_task", title="Milk"), status=status)
    with pytest.raises(TurnInProgressError):
        undo.require_ended(undo.lock(connection, ANN, turn_id))
    assert result(use("undo_last_change"))["tasks"] == []


@pytest.mark.parametrize(
    ("status", "afterwards"),
    [
        (TurnStatus.FINISHED, TurnStatus.FINISHED),
        (TurnStatus.CANCELLED, TurnStatus.CANCELLED),
        (TurnStatus.ABANDONED, TurnStatus.ABANDONED),
        (TurnStatus.INTERRUPTED, TurnStatus.CANCELLED),
        (TurnStatus.FAILED, TurnStatus.CANCELLED),
    ],
)
def test_a_turn_that_is_undone_never_goes_on(
    connection: Connection, use: Use, status: TurnStatus, afterwards: TurnStatus
) -> None:
    turn_id = record_turn(connection, use("create_task", title="Milk"), status=status)
    undo_turn(connection, turn_id)
    assert connection.execute(select(TURNS.c.status).where(TURNS.c.id == turn_id)).scalar_one() is afterwards
    assert rows(connection) == []


def test_a_foreign_turn_is_not_found(connection: Connection, use: Use) -> None:
    turn_id = record_turn(connection, use("create_task", title="Milk"))
    with pytest.raises(NotFoundError):
        undo.lock(connection, BOB, turn_id)


def test_a_turn_of_a_deleted_conversation_is_gone(connection: Connection, use: Use) -> None:
    turn_id = record_turn(connection, use("create_task", title="Milk"))
    connection.execute(CONVERSATIONS.delete())
    with pytest.raises(ConversationDeletedError):
        undo.lock(connection, ANN, turn_id)


def test_a_task_that_is_there_again_can_be_found(connection: Connection, use: Use) -> None:
    task_id = result(use("create_task", title="Straße"))["id"]
    turn_id = record_turn(connection, use("delete_task", task_id=task_id))
    undo_turn(connection, turn_id)
    assert [task["id"] for task in result(use("list_tasks", text="STRASSE"))["tasks"]] == [task_id]
