"""The routes of conversations, from event to response."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update
from sqlmodel import col

from functions.conversations import app as conversations_app
from local.lambda_events import Answer, http_event, invoke
from taskchat import principal
from taskchat.database import database
from taskchat.models import Conversation, ConversationKind, Feedback, Message, Role, User
from taskchat.settings import settings
from tests.support.owner import as_owner

Ask = Callable[..., Answer]
MISSING = 4_611_686_018_427_387_904
NOON = datetime(2026, 3, 31, 12, 0, 0, 123457, tzinfo=UTC)
CALL = {"id": "1", "tool": "get_task", "arguments": {}, "result": {}, "timestamp": "2025-12-07T10:30:00Z"}


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Ask]:
    """Return a client of the function, Ann's unless told otherwise."""
    monkeypatch.setenv("DATABASE_URL", database_url)

    def ask(method: str, path: str, **event: Any) -> Answer:
        return invoke(conversations_app.handler, http_event(method, path, **event))

    yield ask
    database().dispose()
    for kept in (database, settings):
        kept.cache_clear()


def user_of(name: str) -> uuid.UUID:
    return principal.from_event(http_event("GET", "/", user=name)).user_id


@pytest.fixture
def seeded(ask: Ask) -> list[int]:  # noqa: ARG001 - it sets the environment
    """Return the ids of five conversations of Ann, the oldest first; the last one has three messages."""
    with_users = [{"id": user_of(name), "subject": name} for name in ("ann", "bob")]
    rows = [
        {"user_id": user_of("ann"), "title": f"talk {number}", "updated_at": NOON + timedelta(microseconds=number)}
        for number in range(5)
    ]
    said = [(Role.USER, "Hi", None), (Role.ASSISTANT, "", [CALL]), (Role.ASSISTANT, "Done", None)]

    def work(connection: Any) -> list[int]:
        connection.execute(insert(User), with_users)
        statement = insert(Conversation).returning(col(Conversation.id))
        ids = [connection.execute(statement.values(row)).scalar_one() for row in rows]
        for number, (role, content, tool_calls) in enumerate(said):
            message = {"role": role, "content": content, "tool_calls": tool_calls}
            created_at = NOON + timedelta(microseconds=number)
            connection.execute(insert(Message).values(conversation_id=ids[-1], created_at=created_at, **message))
        return ids

    return as_owner(database(), work)


def count(table: type) -> int:
    statement = select(func.count()).select_from(table)
    return as_owner(database(), lambda connection: connection.execute(statement).scalar_one())


def assert_problem(answer: Answer, status: int, code: str, fields: list[str] | None = None) -> None:
    assert (answer.status, answer.body["code"], answer.body["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert [field["field"] for field in answer.body.get("fields", [])] == (fields or [])
    assert "Traceback" not in json.dumps(answer.body)


def test_conversations_are_listed_newest_first_in_pages(ask: Ask, seeded: list[int]) -> None:
    first = ask("GET", "/conversations", query={"limit": 3})
    second = ask("GET", "/conversations", query={"limit": 3, "cursor": first.body["next_cursor"]})
    assert (first.status, second.status) == (200, 200)
    assert [item["id"] for item in first.body["items"] + second.body["items"]] == seeded[::-1]
    assert second.body.keys() == {"items", "next_cursor"}
    assert second.body["next_cursor"] is None
    newest = first.body["items"][0]
    assert newest.keys() == {"id", "title", "kind", "created_at", "updated_at", "snippet"}
    assert (newest["title"], newest["updated_at"]) == ("talk 4", "2026-03-31T12:00:00.123461Z")


def test_one_conversation_equals_its_item_in_the_list(ask: Ask, seeded: list[int]) -> None:
    answer = ask("GET", f"/conversations/{seeded[-1]}")
    assert answer.status == 200
    assert answer.body == ask("GET", "/conversations").body["items"][0]


def test_messages_come_newest_page_first_oldest_first_inside(ask: Ask, seeded: list[int]) -> None:
    path = f"/conversations/{seeded[-1]}/messages"
    first = ask("GET", path, query={"limit": 2})
    second = ask("GET", path, query={"limit": 2, "cursor": first.body["next_cursor"]})
    assert [item["content"] for item in second.body["items"] + first.body["items"]] == ["Hi", "", "Done"]
    assert second.body["next_cursor"] is None
    (asked,) = second.body["items"]
    assert asked == {
        "id": asked["id"],
        "role": "user",
        "content": "Hi",
        "tool_calls": None,
        "created_at": "2026-03-31T12:00:00.123457Z",
        "turn_id": None,
        "feedback": None,
    }
    assert first.body["items"][0]["tool_calls"] == [CALL]


def test_a_person_without_conversations_sees_an_empty_list(ask: Ask) -> None:
    assert ask("GET", "/conversations", user="nobody yet").body == {"items": [], "next_cursor": None}
    assert ask("DELETE", "/conversations", user="nobody yet").status == 204


def test_the_default_limits_are_20_and_50(ask: Ask, seeded: list[int]) -> None:
    def fill(connection: Any) -> None:
        connection.execute(insert(Conversation), [{"user_id": user_of("ann")} for _ in range(50)])
        rows = [{"conversation_id": seeded[0], "role": Role.USER, "content": "x"} for _ in range(60)]
        connection.execute(insert(Message), rows)

    as_owner(database(), fill)
    assert len(ask("GET", "/conversations").body["items"]) == 20
    assert len(ask("GET", f"/conversations/{seeded[0]}/messages").body["items"]) == 50
    assert len(ask("GET", "/conversations", query={"limit": 100}).body["items"]) == 55


def test_a_new_title_is_trimmed(ask: Ask, seeded: list[int]) -> None:
    path = f"/conversations/{seeded[0]}"
    answer = ask("PATCH", path, body={"title": f"  {'ü' * 200}\n"})
    assert (answer.status, answer.body["title"]) == (200, "ü" * 200)
    assert ask("GET", path).body == answer.body


def test_a_deleted_conversation_is_gone_with_its_messages(ask: Ask, seeded: list[int]) -> None:
    path = f"/conversations/{seeded[-1]}"
    answer = ask("DELETE", path)
    assert (answer.status, answer.body) == (204, None)
    assert_problem(ask("GET", path), 404, "not-found")
    assert_problem(ask("DELETE", path), 404, "not-found")
    assert (count(Conversation), count(Message)) == (4, 0)


@pytest.mark.usefixtures("seeded")
def test_only_ones_own_conversations_are_deleted(ask: Ask) -> None:
    assert ask("DELETE", "/conversations", user="bob").status == 204
    assert count(Conversation) == 5
    answer = ask("DELETE", "/conversations")
    assert (answer.status, answer.body) == (204, None)
    assert (count(Conversation), count(Message)) == (0, 0)


ON_ONE = [
    ("GET", "/conversations/{}", None),
    ("GET", "/conversations/{}/messages", None),
    ("PATCH", "/conversations/{}", {"title": "stolen"}),
    ("DELETE", "/conversations/{}", None),
]
on_one = pytest.mark.parametrize(("method", "path", "body"), ON_ONE, ids=[f"{each[0]} {each[1]}" for each in ON_ONE])


@on_one
def test_a_foreign_conversation_answers_like_a_missing_one(
    ask: Ask, seeded: list[int], method: str, path: str, body: object
) -> None:
    known = seeded[-1]
    foreign = ask(method, path.format(known), body=body, user="bob")
    assert_problem(foreign, 404, "not-found")
    assert (count(Conversation), count(Message)) == (5, 3)
    assert ask("GET", f"/conversations/{known}").body["title"] == "talk 4"
    ask("DELETE", f"/conversations/{known}")
    absent = ask(method, path.format(known), body=body, user="bob")
    assert {**foreign.body, "request_id": ""} == {**absent.body, "request_id": ""}
    assert ask("GET", "/conversations", user="bob").body["items"] == []


def test_a_path_prefix_changes_nothing(ask: Ask, seeded: list[int]) -> None:
    assert len(ask("GET", "/conversations", prefix="/v1").body["items"]) == 5
    assert ask("GET", f"/conversations/{seeded[0]}", prefix="/prod").body["title"] == "talk 0"


@on_one
@pytest.mark.parametrize(
    "id_", ["0", "-1", "+1", "01", "1.0", "1e0", "1_0", "one", " 1", "٣", str(2**63), "9" * 5000, "NaN", "null"]
)
def test_an_invalid_id_is_refused(ask: Ask, method: str, path: str, body: object, id_: str) -> None:
    assert_problem(ask(method, path.format(id_), body=body), 422, "invalid-request", ["path.id"])


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize("path", ["/conversations", "/conversations/1/messages"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(({"limit": limit}, "query.limit") for limit in ("0", "101", "-1", "+5", "05", "1.0", "ten", "", "9" * 5000)),
        *(({"cursor": cursor}, "cursor") for cursor in ("", "x", "A" * 32, "A" * 5000, "\x00", "%00", "..", "ü")),
        ({"offset": "7"}, "query.offset"),
    ],
)
def test_an_invalid_query_is_refused(ask: Ask, path: str, query: dict[str, str], field: str) -> None:
    answer = ask("GET", path, query=query, headers={"content-type": ""})
    assert_problem(answer, 422, "invalid-request", [field])
    assert "JSON" not in answer.body["detail"]


def test_an_edited_or_foreign_cursor_is_refused(ask: Ask, seeded: list[int]) -> None:
    cursor = ask("GET", "/conversations", query={"limit": 1}).body["next_cursor"]
    edited = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    messages = f"/conversations/{seeded[-1]}/messages"
    for path, wrong in [("/conversations", edited), ("/conversations", cursor.lower()), (messages, cursor)]:
        assert_problem(ask("GET", path, query={"cursor": wrong}), 422, "invalid-request", ["cursor"])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["body.title"]),
        ({"title": None}, ["body.title"]),
        ({"title": 7}, ["body.title"]),
        ({"title": ""}, ["body.title"]),
        ({"title": " \n "}, ["body.title"]),
        ({"title": "x" * 201}, ["body.title"]),
        ({"title": "a\x00b"}, ["body.title"]),
        ('{"title": "\\ud800"}', ["body.title"]),
        ({"title": "x", "updated_at": "2020-01-01"}, ["body.updated_at"]),
        ("not JSON", ["body.0"]),
        ("[]", ["body"]),
        ('"title"', ["body"]),
    ],
)
def test_an_invalid_title_is_refused_and_nothing_changes(
    ask: Ask, seeded: list[int], body: object, fields: list[str]
) -> None:
    path = f"/conversations/{seeded[0]}"
    assert_problem(ask("PATCH", path, body=body), 422, "invalid-request", fields)
    assert ask("GET", path).body["title"] == "talk 0"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *((method, path.format(1)) for method, path, _ in ON_ONE),
        ("GET", "/conversations"),
        ("DELETE", "/conversations"),
    ],
)
def test_a_request_without_a_token_is_refused(ask: Ask, method: str, path: str) -> None:
    body = {"title": "x"} if method == "PATCH" else None
    assert_problem(ask(method, path, body=body, user=None), 401, "unauthenticated")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/conversations", 405, "method-not-allowed"),
        ("PUT", "/conversations/1", 405, "method-not-allowed"),
        ("DELETE", "/conversations/1/messages", 405, "method-not-allowed"),
        ("DELETE", "/conversations/", 404, "not-found"),
        ("GET", "/conversations/1/messages/1", 404, "not-found"),
    ],
)
def test_an_unknown_method_or_route_is_a_problem(ask: Ask, method: str, path: str, status: int, code: str) -> None:
    assert_problem(ask(method, path), status, code)


def test_an_unreadable_secret_is_503(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL_SECRET", "dev/database")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    answer = ask("GET", "/conversations")
    assert_problem(answer, 503, "secret-unavailable")
    assert (answer.body["retryable"], answer.headers["retry-after"]) == (True, "5")


def test_a_list_shows_one_kind(ask: Ask, seeded: list[int]) -> None:
    record = update(Conversation).where(col(Conversation.id) == seeded[2]).values(kind=ConversationKind.CLIENT)
    as_owner(database(), lambda connection: connection.execute(record))
    client = ask("GET", "/conversations", query={"kind": "client"}).body
    assert [(item["id"], item["kind"]) for item in client["items"]] == [(seeded[2], "client")]
    first = ask("GET", "/conversations", query={"kind": "chat", "limit": 3}).body
    rest = ask("GET", "/conversations", query={"kind": "chat", "limit": 3, "cursor": first["next_cursor"]}).body
    assert [item["id"] for item in first["items"] + rest["items"]] == [seeded[number] for number in (4, 3, 1, 0)]
    assert rest["next_cursor"] is None
    for kind in ("", "Chat", "all"):
        assert_problem(ask("GET", "/conversations", query={"kind": kind}), 422, "invalid-request", ["query.kind"])


def test_a_text_finds_conversations_of_the_caller(ask: Ask, seeded: list[int]) -> None:
    answer = ask("GET", "/conversations", query={"text": " DONE "})
    assert [(item["id"], item["snippet"]) for item in answer.body["items"]] == [(seeded[-1], "Done")]
    assert ask("GET", "/conversations", query={"text": "talk", "limit": 3}).body["next_cursor"] is not None
    assert ask("GET", "/conversations", query={"text": "talk"}, user="bob").body["items"] == []
    for text in ("", "x" * 101):
        assert_problem(ask("GET", "/conversations", query={"text": text}), 422, "invalid-request", ["query.text"])


def test_a_reply_is_rated_and_its_rating_removed(ask: Ask, seeded: list[int]) -> None:
    listed = f"/conversations/{seeded[-1]}/messages"
    reply = ask("GET", listed).body["items"][-1]["id"]
    path = f"/messages/{reply}/feedback"
    for body in ({"rating": "down", "comment": " Too <b>long</b> "}, {"rating": "up"}):
        assert ask("PUT", path, body=body).status == 204
        expected = {"rating": body["rating"], "comment": body.get("comment", "").strip() or None}
        assert ask("GET", listed).body["items"][-1]["feedback"] == expected
    for _ in range(2):
        assert ask("DELETE", path).status == 204
    assert [item["feedback"] for item in ask("GET", listed).body["items"]] == [None] * 3


def test_a_rating_goes_with_its_conversation(ask: Ask, seeded: list[int]) -> None:
    reply = ask("GET", f"/conversations/{seeded[-1]}/messages").body["items"][-1]["id"]
    ask("PUT", f"/messages/{reply}/feedback", body={"rating": "up"})
    assert ask("DELETE", f"/conversations/{seeded[-1]}").status == 204
    assert count(Feedback) == 0


def test_only_own_replies_can_be_rated(ask: Ask, seeded: list[int]) -> None:
    asked, *_, reply = (item["id"] for item in ask("GET", f"/conversations/{seeded[-1]}/messages").body["items"])
    for message, user in ((asked, "ann"), (reply, "bob"), (MISSING, "ann")):
        for method, body in (("PUT", {"rating": "up"}), ("DELETE", None)):
            answer = ask(method, f"/messages/{message}/feedback", body=body, user=user)
            assert_problem(answer, 404, "not-found")
            assert answer.body["detail"] == f"There is no reply {message}."
    assert count(Feedback) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "rating"), ({"rating": "Up"}, "rating"), ({"rating": "up", "comment": "x" * 1_001}, "comment")],
)
def test_a_rating_that_does_not_fit_is_refused(ask: Ask, body: dict[str, Any], field: str) -> None:
    assert_problem(ask("PUT", "/messages/1/feedback", body=body), 422, "invalid-request", [f"body.{field}"])
