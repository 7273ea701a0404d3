"""The routes of tasks, from event to response."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from functions.tasks import app as tasks_app
from local.lambda_events import Answer, http_event, invoke
from taskchat.database import database
from taskchat.models import CONVERSATIONS, MESSAGES, TASKS, TURNS
from taskchat.settings import settings
from taskchat.tasks import tools
from tests.support.owner import as_owner

Ask = Callable[..., Answer]
HTML = '<img src=x onerror="alert(1)">&amp;</script>'
DUE = "2026-03-31T17:30:00+02:00"
MISSING = 4_611_686_018_427_387_904


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Ask]:
    """Return a client of the function, Ann's unless told otherwise."""
    monkeypatch.setenv("DATABASE_URL", database_url)

    def ask(method: str, path: str, **event: Any) -> Answer:
        return invoke(tasks_app.handler, http_event(method, path, **event))

    yield ask
    database().dispose()
    for kept in (database, settings):
        kept.cache_clear()


def add(ask: Ask, title: str = "Buy milk", **fields: Any) -> dict[str, Any]:
    answer = ask("POST", "/tasks", body={"title": title, **fields})
    assert answer.status == 201
    task: dict[str, Any] = answer.body
    return task


def titles(ask: Ask, user: str = "ann", **query: Any) -> list[str]:
    return [item["title"] for item in ask("GET", "/tasks", query=query, user=user).body["items"]]


def rows(*columns: Any) -> list[Any]:
    return as_owner(database(), lambda connection: list(connection.execute(select(*columns))))


def count(table: Any) -> int:
    return int(rows(func.count(table.c.id))[0][0])


def audited() -> list[dict[str, Any]]:
    """Return all recorded calls, oldest first."""
    recorded = rows(MESSAGES.c.id, MESSAGES.c.tool_calls)
    return [call for _, calls in sorted(recorded, key=lambda row: row.id) if calls for call in calls]


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": name}


def assert_problem(answer: Answer, status: int, code: str, *fields: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code)
    assert [field["field"] for field in answer.body.get("fields", [])] == list(fields)


def test_a_new_task_is_answered_whole(ask: Ask) -> None:
    answer = ask(
        "POST", "/tasks", body={"title": " Buy milk ", "description": "Oat", "priority": "high", "due_at": DUE}
    )
    task = answer.body
    assert task == {
        "id": task["id"],
        "title": "Buy milk",
        "description": "Oat",
        "priority": "high",
        "due_at": "2026-03-31T15:30:00Z",
        "completed": False,
        "completed_at": None,
        "created_at": task["created_at"],
        "updated_at": task["updated_at"],
    }
    assert (answer.status, answer.headers["location"]) == (201, f"/tasks/{task['id']}")
    read = ask("GET", f"/tasks/{task['id']}")
    assert (read.status, read.body, read.headers["etag"]) == (200, task, answer.headers["etag"])


def test_a_list_has_pages_in_one_order(ask: Ask) -> None:
    for title, due_at in [("never", None), ("late", "2026-04-02"), ("soon", DUE), ("done", DUE), ("done, too", None)]:
        task = add(ask, title, due_at=due_at)
        if title.startswith("done"):
            ask("PATCH", f"/tasks/{task['id']}", body={"completed": True})
    whole = titles(ask)
    assert whole == ["soon", "late", "never", "done", "done, too"]
    for limit in range(1, 6):
        page = ask("GET", "/tasks", query={"limit": limit}).body
        paged = page["items"]
        while page["next_cursor"]:
            page = ask("GET", "/tasks", query={"limit": limit, "cursor": page["next_cursor"]}).body
            paged += page["items"]
        assert [item["title"] for item in paged] == whole


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "pending"}, ["rent", "call mum"]),
        ({"status": "completed"}, ["sleep"]),
        ({"priority": "high"}, ["rent", "sleep"]),
        ({"due_before": "2026-03-31"}, []),
        ({"due_before": "2026-04-01"}, ["rent"]),
        ({"text": "MUM"}, ["call mum"]),
        ({"text": "100%"}, []),
    ],
)
def test_filters_choose_tasks(ask: Ask, query: dict[str, str], expected: list[str]) -> None:
    add(ask, "rent", priority="high", due_at=DUE)
    add(ask, "call mum")
    ask("PATCH", f"/tasks/{add(ask, 'sleep', priority='high')['id']}", body={"completed": True})
    assert titles(ask, **query) == expected


def test_a_cursor_belongs_to_its_filters_and_person(ask: Ask) -> None:
    for title in ("one", "two"):
        add(ask, title)
    cursor = ask("GET", "/tasks", query={"limit": 1}).body["next_cursor"]
    other_filter = ask("GET", "/tasks", query={"limit": 1, "cursor": cursor, "status": "pending"})
    other_person = ask("GET", "/tasks", query={"limit": 1, "cursor": cursor}, user="bob")
    for answer in (other_filter, other_person):
        assert_problem(answer, 422, "invalid-request", "cursor")


def test_a_merge_patch_sets_clears_and_leaves(ask: Ask) -> None:
    task = add(ask, description="Oat", due_at=DUE, priority="low")
    path = f"/tasks/{task['id']}"
    changed = ask("PATCH", path, body={"title": "Buy bread", "due_at": None, "completed": True}).body
    assert changed["completed_at"] is not None
    kept = {name: task[name] for name in ("id", "description", "priority", "created_at")}
    assert changed == {**changed, **kept, "title": "Buy bread", "due_at": None, "completed": True}
    assert ask("PATCH", path, body={"completed": False}).body["completed_at"] is None


def test_an_empty_patch_changes_and_records_nothing(ask: Ask) -> None:
    task = add(ask)
    assert ask("PATCH", f"/tasks/{task['id']}", body={}).body == task
    assert len(audited()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": None}, "body.title"),
        ({"title": "  "}, "body.title"),
        ({"title": "x" * 201}, "body.title"),
        ({"title": "\x00"}, "body.title"),
        ({"priority": None}, "body.priority"),
        ({"priority": "huge"}, "body.priority"),
        ({"due_at": "soon"}, "body.due_at"),
        ({"due_at": 7}, "body.due_at"),
        ({"completed": None}, "body.completed"),
        ({"completed": "true"}, "body.completed"),
        ({"id": 7}, "body.id"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused(ask: Ask, body: dict[str, Any], field: str) -> None:
    task = add(ask)
    assert_problem(ask("PATCH", f"/tasks/{task['id']}", body=body), 422, "invalid-request", field)
    assert ask("GET", f"/tasks/{task['id']}").body == task


def test_a_deleted_task_is_gone(ask: Ask) -> None:
    path = f"/tasks/{add(ask)['id']}"
    assert (ask("DELETE", path).status, ask("GET", path).status, ask("DELETE", path).status) == (204, 404, 404)


def test_the_task_of_another_person_is_not_found(ask: Ask) -> None:
    task = add(ask)
    path = f"/tasks/{task['id']}"
    for method, body in (("GET", None), ("PATCH", {"title": "mine"}), ("PATCH", {}), ("DELETE", None)):
        for headers in ({}, {"If-Match": "*"}):
            other = ask(method, path, body=body, user="bob", headers=headers)
            nobody = ask(method, f"/tasks/{MISSING}", body=body, user="bob", headers=headers)
            assert_problem(other, 404, "not-found")
            assert other.body["detail"].replace(str(task["id"]), "") == nobody.body["detail"].replace(str(MISSING), "")
    assert titles(ask, user="bob") == []
    assert ask("GET", path).body == task


def test_a_change_is_audited_like_a_call_of_a_tool(ask: Ask) -> None:
    task = add(ask, HTML)
    ask("PATCH", f"/tasks/{task['id']}", body={"priority": "urgent", "due_at": None, "completed": True})
    ask("DELETE", f"/tasks/{task['id']}")
    calls = audited()
    assert [call["tool"] for call in calls] == ["create_task", "update_task", "complete_task", "delete_task"]
    assert calls[0]["arguments"] == {"title": HTML, "priority": "normal"}
    assert calls[1]["arguments"] == {"task_id": task["id"], "priority": "urgent", "clear": ["due_at"]}
    assert (calls[0]["before"], calls[3]["after"]) == (None, None)
    assert calls[1]["before"]["title"] == calls[3]["before"]["title"] == HTML
    assert [call["after"]["completed"] for call in calls[:3]] == [False, False, True]
    assert rows(CONVERSATIONS.c.title) == [(tasks_app.CLIENT,)]
    assert (count(TURNS), count(MESSAGES)) == (3, 6)


def test_markup_in_a_title_is_text(ask: Ask) -> None:
    task = add(ask, HTML)
    assert (task["title"], titles(ask)) == (HTML, [HTML])
    assert ask("GET", f"/tasks/{task['id']}").headers["content-type"] == "application/json"


def test_a_change_is_refused_if_the_task_has_changed(ask: Ask) -> None:
    path = f"/tasks/{add(ask)['id']}"
    tag = ask("GET", path).headers["etag"]
    changed = ask("PATCH", path, body={"title": "Buy bread"}, headers={"If-Match": tag})
    assert changed.status == 200
    for method, body in (("PATCH", {"title": "Buy eggs"}), ("PATCH", {}), ("DELETE", None)):
        assert_problem(ask(method, path, body=body, headers={"If-Match": tag}), 412, "changed-since")
    assert ask("GET", path).body == changed.body
    weak = f'"other", W/{changed.headers["etag"]}'
    assert ask("DELETE", path, headers={"If-Match": weak}).status == 204


def test_an_unchanged_answer_is_not_sent_again(ask: Ask) -> None:
    task = add(ask)
    for path in ("/tasks", f"/tasks/{task['id']}"):
        tag = ask("GET", path).headers["etag"]
        assert (ask("GET", path, headers={"If-None-Match": tag}).status, tag[:2]) == (304, tag[:2])
        ask("PATCH", f"/tasks/{task['id']}", body={"title": path})
        assert ask("GET", path, headers={"If-None-Match": tag}).status == 200


def test_a_repeated_creation_answers_the_same(ask: Ask) -> None:
    first, again = (ask("POST", "/tasks", body={"title": "Buy milk"}, headers=key("k")) for _ in range(2))
    assert (again.status, again.body, again.headers["etag"]) == (201, first.body, first.headers["etag"])
    assert "idempotent-replayed" not in first.headers
    assert (again.headers["idempotent-replayed"], again.headers["idempotency-key"]) == ("true", "k")
    assert (count(TASKS), count(TURNS)) == (1, 1)
    assert (
        ask("POST", "/tasks", body={"title": "Buy milk"}, headers=key("k"), user="bob").body["id"] != first.body["id"]
    )


def test_a_repeated_change_does_nothing_twice(ask: Ask) -> None:
    path = f"/tasks/{add(ask)['id']}"
    tag = {"If-Match": ask("GET", path).headers["etag"]}
    first = ask("PATCH", path, body={"title": "Buy bread", "completed": True}, headers={**key("k"), **tag})
    ask("PATCH", path, body={"completed": False})
    again = ask("PATCH", path, body={"title": "Buy bread", "completed": True}, headers={**key("k"), **tag})
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert again.headers["etag"] == first.headers["etag"]
    assert ask("GET", path).body["completed"] is False
    for _ in range(2):
        assert ask("DELETE", path, headers=key("delete")).status == 204
    assert count(TURNS) == 4
    assert ask("PATCH", path, body={"title": "Buy bread", "completed": True}, headers=key("k")).body == first.body


def test_the_key_of_another_request_is_refused(ask: Ask) -> None:
    task = ask("POST", "/tasks", body={"title": "Buy milk"}, headers=key("k")).body
    path = f"/tasks/{task['id']}"
    for method, where, body in (
        ("POST", "/tasks", {"title": "x"}),
        ("PATCH", path, {"title": "x"}),
        ("DELETE", path, None),
    ):
        assert_problem(ask(method, where, body=body, headers=key("k")), 422, "idempotency-key-reused")
    assert ask("GET", path).body == task


def test_the_key_of_a_deleted_record_does_nothing(ask: Ask) -> None:
    ask("POST", "/tasks", body={"title": "Buy milk"}, headers=key("k"))
    as_owner(database(), lambda connection: connection.execute(CONVERSATIONS.delete()))
    assert_problem(ask("POST", "/tasks", body={"title": "Buy milk"}, headers=key("k")), 410, "conversation-deleted")
    assert count(TASKS) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "query.limit"),
        ({"limit": "101"}, "query.limit"),
        ({"limit": "+7"}, "query.limit"),
        ({"status": "open"}, "query.status"),
        ({"due_before": "tomorrow"}, "query.due_before"),
        ({"text": ""}, "query.text"),
        ({"page": "2"}, "query.page"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_a_query_that_does_not_fit_is_refused(ask: Ask, query: dict[str, str], field: str) -> None:
    assert_problem(ask("GET", "/tasks", query=query), 422, "invalid-request", field)


def test_requests_offer_every_argument_of_the_tools() -> None:
    assert set(tasks_app.NewTask.model_fields) == set(tools.create_task.input.model_fields)
    assert set(tasks_app.TasksQuery.model_fields) == set(tools.list_tasks.input.model_fields)
    changed = set(tools.update_task.input.model_fields) - {"task_id", "clear"}
    assert set(tasks_app.TaskPatch.model_fields) == changed | {"completed"}


def test_no_request_goes_without_a_token(ask: Ask) -> None:
    for method, path in (("GET", "/tasks"), ("POST", "/tasks"), ("DELETE", f"/tasks/{uuid.uuid4()}")):
        assert_problem(ask(method, path, body={"title": "x"}, user=None), 401, "unauthenticated")
