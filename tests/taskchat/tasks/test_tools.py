"""The effect and the record of each task tool."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from taskchat.database import Database
from taskchat.models import Conversation, Message, Role, Task
from taskchat.toolkit import ToolRequest
from taskchat.tools import call
from tests.support.owner import as_owner, owned
from tests.support.rolled_back import ANN, sign_up
from tests.support.tool_calls import Use, result

UTC_ZONE = ZoneInfo("UTC")


def test_a_record_says_what_was_asked_and_what_came_back(use: Use) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    recorded = use("create_task", title="Buy groceries", priority="high")
    assert list(recorded) == ["id", "tool", "arguments", "timestamp", "result", "before", "after"]
    assert (recorded["id"], recorded["tool"]) == ("call_1", "create_task")
    assert recorded["arguments"] == {"title": "Buy groceries", "priority": "high"}
    assert recorded["timestamp"].endswith("Z")
    assert before <= datetime.fromisoformat(recorded["timestamp"]) <= datetime.now(UTC)


def test_create_task(use: Use) -> None:
    created = result(use("create_task", title="Buy groceries", priority="high", due_at="2026-03-31T17:30"))
    assert created == {
        "id": created["id"],
        "title": "Buy groceries",
        "created": True,
        "priority": "high",
        "due_at": "2026-03-31T17:30:00+02:00",
    }


def test_get_task_tells_everything_in_the_callers_zone(use: Use) -> None:
    task_id = result(use("create_task", title="Call", description="Mum", due_at="2026-12-24"))["id"]
    result(use("complete_task", task_id=task_id))
    task = result(use("get_task", task_id=task_id, zone="America/New_York"))
    moments = [datetime.fromisoformat(task.pop(name)) for name in ("completed_at", "created_at", "updated_at")]
    assert all(datetime.now(UTC) - moment < timedelta(minutes=1) for moment in moments)
    assert {moment.utcoffset() for moment in moments} == {datetime.now(ZoneInfo("America/New_York")).utcoffset()}
    assert task == {
        "id": task_id,
        "title": "Call",
        "description": "Mum",
        "priority": "normal",
        "due_at": "2026-12-24T17:59:59-05:00",
        "completed": True,
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["pay rent", "call mum", "sleep"]),
        ({"status": "all"}, ["pay rent", "call mum", "sleep"]),
        ({"status": "Pending"}, ["pay rent", "call mum"]),
        ({"status": "completed"}, ["sleep"]),
        ({"priority": "HIGH"}, ["pay rent"]),
        ({"due_before": "2026-03-31"}, []),
        ({"due_before": "2026-04-01"}, ["pay rent"]),
        ({"due_before": "2026-03-31T21:59:59Z"}, []),
        ({"due_before": "2026-03-31T22:00:00Z"}, ["pay rent"]),
        ({"text": "MUM"}, ["call mum"]),
        ({"text": "%"}, []),
        ({"limit": 1}, ["pay rent"]),
    ],
)
def test_list_tasks(use: Use, arguments: dict[str, Any], expected: list[str]) -> None:
    use("create_task", title="pay rent", priority="high", due_at="2026-03-31")
    use("create_task", title="call mum")
    use("complete_task", task_id=result(use("create_task", title="sleep"))["id"])
    listed = result(use("list_tasks", **arguments))
    assert [task["title"] for task in listed["tasks"]] == expected
    assert listed["count"] == len(expected)
    assert listed["more"] is (arguments == {"limit": 1})


def test_a_cursor_leads_to_all_tasks(use: Use) -> None:
    for number in range(5):
        use("create_task", title=f"task {number}")
    listed = result(use("list_tasks", limit=2))
    titles = [task["title"] for task in listed["tasks"]]
    while listed["more"]:
        listed = result(use("list_tasks", limit=2, cursor=listed["next_cursor"]))
        titles += [task["title"] for task in listed["tasks"]]
    assert titles == [f"task {number}" for number in range(5)]
    assert listed["next_cursor"] is None


def test_a_cursor_of_another_list_is_explained(use: Use) -> None:
    for _ in range(2):
        use("create_task", title="task")
    cursor = result(use("list_tasks", limit=1))["next_cursor"]
    for arguments in ({"cursor": cursor, "status": "pending"}, {"cursor": "x"}):
        error = use("list_tasks", **arguments)["error"]
        assert (error["code"], "next_cursor" in error["message"]) == ("invalid-arguments", True)


def test_a_listed_task_shows_what_tells_it_from_others(use: Use) -> None:
    created = result(use("create_task", title="pay rent", description="to the landlord"))
    assert result(use("list_tasks"))["tasks"] == [
        {"id": created["id"], "title": "pay rent", "priority": "normal", "due_at": None, "completed": False}
    ]


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        ({"title": "Call mom tonight"}, {"title": "Call mom tonight"}),
        ({"description": "new"}, {"description": "new"}),
        ({"priority": "low"}, {"priority": "low"}),
        ({"due_at": "2026-07-01T08:00"}, {"due_at": "2026-07-01T08:00:00+02:00"}),
        ({"clear": ["due_at"]}, {"due_at": None}),
        ({"clear": "description"}, {"description": None}),
        ({"clear": ["due_at", "description"], "title": "x"}, {"due_at": None, "description": None, "title": "x"}),
        ({"title": "x", "description": "", "due_at": None, "clear": []}, {"title": "x"}),
    ],
)
def test_update_task_changes_only_what_is_given(use: Use, arguments: dict[str, Any], changed: dict[str, Any]) -> None:
    created = use("create_task", title="Call", description="Mum", priority="high", due_at="2026-03-31")
    task = result(use("get_task", task_id=result(created)["id"]))
    updated = result(use("update_task", task_id=task["id"], **arguments))
    assert updated.pop("updated") is True
    updated.pop("not_changed")
    assert {**updated, "updated_at": None} == {**task, **changed, "updated_at": None}


@pytest.mark.parametrize("blank", [None, "", "  "])
def test_update_task_names_the_fields_left_blank(use: Use, blank: str | None) -> None:
    created = use("create_task", title="Call", description="Mum", due_at="2026-03-31")
    updated = result(
        use("update_task", task_id=result(created)["id"], priority="low", due_at=blank, description=blank, clear=None)
    )
    assert updated["not_changed"] == ["due_at", "description"]
    assert (updated["description"], updated["due_at"]) == ("Mum", "2026-03-31T23:59:59+02:00")


def test_complete_task_twice_keeps_the_first_time_and_says_so(use: Use) -> None:
    task_id = result(use("create_task", title="Call"))["id"]
    first = result(use("complete_task", task_id=task_id))
    assert first == {
        "id": task_id,
        "title": "Call",
        "completed": True,
        "completed_at": first["completed_at"],
        "already_completed": False,
    }
    assert result(use("complete_task", task_id=task_id)) == {**first, "already_completed": True}


def test_reopen_task_twice_says_so(use: Use) -> None:
    task_id = result(use("create_task", title="Call"))["id"]
    use("complete_task", task_id=task_id)
    first = result(use("reopen_task", task_id=task_id))
    assert first == {"id": task_id, "title": "Call", "completed": False, "already_pending": False}
    assert result(use("reopen_task", task_id=task_id)) == {**first, "already_pending": True}


def test_delete_task(use: Use) -> None:
    task_id = result(use("create_task", title="Call"))["id"]
    assert result(use("delete_task", task_id=task_id)) == {"id": task_id, "title": "Call", "deleted": True}
    assert "error" in use("get_task", task_id=task_id)


def test_a_failed_call_leaves_other_calls_alone(use: Use) -> None:
    use("create_task", title="before")
    use("delete_task", task_id=4711)
    stranger = use("create_task", title="of nobody", user=uuid.UUID(int=9))
    use("create_task", title="after")
    assert stranger["error"] == {"code": "failed", "message": "create_task could not be done; nothing has changed."}
    assert [task["title"] for task in result(use("list_tasks"))["tasks"]] == ["before", "after"]


def test_effects_are_committed_with_the_transaction(database: Database) -> None:
    def work(connection: Connection, *, and_fail: bool) -> None:
        for title in ("one", "two"):
            call(
                connection,
                ToolRequest("", "create_task", json.dumps({"title": title})),
                user_id=ANN,
                time_zone=UTC_ZONE,
                turn_id=uuid.uuid4(),
            )
        call(
            connection,
            ToolRequest("", "create_task", '{"title": "x"}'),
            user_id=uuid.UUID(int=9),
            time_zone=UTC_ZONE,
            turn_id=uuid.uuid4(),
        )
        if and_fail:
            raise InterruptedError

    as_owner(database, sign_up)
    with pytest.raises(InterruptedError):
        as_owner(database, lambda connection: work(connection, and_fail=True))
    as_owner(database, lambda connection: work(connection, and_fail=False))
    titles = select(col(Task.title)).order_by(col(Task.id))
    assert as_owner(database, lambda connection: connection.execute(titles).scalars().all()) == ["one", "two"]


def test_a_lost_connection_is_no_answer_for_a_model(database: Database) -> None:
    def lose(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement == "SAVEPOINT tool":
            connection.connection.dbapi_connection.close()  # type: ignore[union-attr]

    event.listen(database.engine(), "after_cursor_execute", lose)
    request = ToolRequest("call_1", "create_task", '{"title": "nowhere"}')
    with owned(database) as connection, pytest.raises(DBAPIError):
        call(connection, request, user_id=ANN, time_zone=UTC_ZONE, turn_id=uuid.uuid4())


@pytest.mark.parametrize("text", ['{"title": "a\\u0000b\\ud800c"}', '{"title": "x", "n\\u0000\\udfff": ["\\u0000"]}'])
def test_a_record_can_always_be_stored(connection: Connection, text: str) -> None:
    conversation_id = connection.execute(
        insert(Conversation).values(user_id=ANN).returning(col(Conversation.id))
    ).scalar_one()
    request = ToolRequest("call\x00\ud800", "create_task", text)
    recorded = call(connection, request, user_id=ANN, time_zone=UTC_ZONE, turn_id=uuid.uuid4())
    unknown = call(
        connection,
        ToolRequest("\udfff", "no\x00ne", "\x00\ud800"),
        user_id=ANN,
        time_zone=UTC_ZONE,
        turn_id=uuid.uuid4(),
    )
    connection.execute(
        insert(Message).values(
            conversation_id=conversation_id, role=Role.ASSISTANT, content="", tool_calls=[recorded, unknown]
        )
    )
    stored = connection.execute(select(col(Message.tool_calls))).scalar_one()
    assert stored == [recorded, unknown]
    assert "\\u0000" not in json.dumps(stored)
    assert "\\ud800" not in json.dumps(stored)


def test_what_cannot_be_stored_runs_as_it_is_recorded(use: Use) -> None:
    recorded = use("create_task", written='{"title": "half an \\ud83d emoji and \\u0000"}')
    assert recorded["arguments"]["title"] == "half an \ufffd emoji and \ufffd"
    assert result(recorded)["title"] == recorded["arguments"]["title"]
