"""POST /chat, from event to response."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlmodel import col

from local.lambda_events import http_event, invoke
from taskchat.database import database
from taskchat.models import Conversation, Message, Task, Turn
from tests.functions.conftest import Post
from tests.support.owner import as_owner
from tests.support.scripted_model import ScriptedModel, calls, hangs_up, says

BUY_GROCERIES = {"message": "Add a task to buy groceries", "timezone": "Europe/Berlin"}


def count(table: type) -> int:
    return as_owner(
        database(), lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
    )


def assert_problem(answer: Any, status: int, code: str) -> None:
    assert (answer.status, answer.body["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "request_id"} <= answer.body.keys()
    assert answer.body["status"] == status
    assert "Traceback" not in json.dumps(answer.body)


def test_a_message_is_answered_with_what_was_done(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(("create_task", {"title": "Buy groceries", "priority": "high"})), says("Added."))
    answer = post_chat(BUY_GROCERIES)
    assert answer.status == 200
    assert answer.body.keys() == {"turn_id", "conversation_id", "message_id", "response", "tool_calls"}
    assert answer.body["response"] == "Added."
    (call,) = answer.body["tool_calls"]
    assert (call["id"], call["tool"], call["result"]["created"]) == ("call_1", "create_task", True)
    assert call["arguments"] == {"title": "Buy groceries", "priority": "high"}
    assert call["timestamp"].endswith("Z")
    assert (count(Task), count(Message)) == (1, 3)


def test_the_model_gets_instructions_the_time_and_the_history(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(("list_tasks", {})), says("None yet."), says("Still none."))
    conversation_id = post_chat({"message": "My tasks?"}).body["conversation_id"]
    post_chat({"message": " And now? ", "conversation_id": conversation_id, "timezone": "Asia/Tokyo"})
    system, *rest = scripted_model.requests[-1].messages
    assert system["role"] == "system"
    assert [message["role"] for message in rest] == ["user", "assistant", "tool", "assistant", "user"]
    assert rest[1]["tool_calls"][0]["id"] == rest[2]["tool_call_id"]
    assert rest[-1]["content"].endswith("\n\nAnd now?")
    assert "+09:00 (Asia/Tokyo), " in rest[-1]["content"]
    assert "create_task" in scripted_model.requests[-1].tool_names


def test_the_same_key_replays_the_answer_without_the_model(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(("create_task", {"title": "Milk"})), says("Added."))
    first = post_chat(BUY_GROCERIES, headers={"Idempotency-Key": "k-1"})
    second = post_chat(BUY_GROCERIES, headers={"Idempotency-Key": "k-1"})
    assert second.body == first.body
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert len(scripted_model.requests) == 2
    assert count(Task) == 1


def test_a_key_is_made_up_and_a_failure_returns_it(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(hangs_up(), hangs_up(), says("Hello."))
    failure = post_chat(BUY_GROCERIES)
    assert_problem(failure, 502, "model-failed")
    success = post_chat(BUY_GROCERIES, headers={"Idempotency-Key": failure.headers["idempotency-key"]})
    assert (success.status, success.body["response"]) == (200, "Hello.")
    assert success.headers["idempotency-key"] == failure.headers["idempotency-key"]
    assert count(Message) == 2


def test_the_same_key_with_another_body_is_refused(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    post_chat({"message": "Hello"}, headers={"Idempotency-Key": "k"})
    assert_problem(post_chat({"message": "Bye"}, headers={"Idempotency-Key": "k"}), 422, "idempotency-key-reused")


def test_a_new_conversation_is_titled_by_its_first_message(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    post_chat({"message": f"  Plan\n the {'long ' * 100}weekend"})
    (title,) = as_owner(database(), lambda connection: connection.execute(select(col(Conversation.title))).one())
    assert title == f"Plan the {'long ' * 100}"[:200]


def test_a_request_without_a_token_is_refused(post_chat: Post) -> None:
    assert_problem(post_chat(BUY_GROCERIES, user=None), 401, "unauthenticated")
    assert count(Turn) == 0


def test_a_foreign_conversation_is_reported_as_missing(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    conversation_id = post_chat(BUY_GROCERIES, user="ann").body["conversation_id"]
    for unknown in (conversation_id, 10**12):
        answer = post_chat({"message": "Hi", "conversation_id": unknown}, user="bob")
        assert_problem(answer, 404, "not-found")
        assert answer.body["detail"] == f"There is no conversation {unknown}."
    assert (count(Turn), count(Message)) == (1, 2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body.message"),
        ({"message": None}, "body.message"),
        ({"message": 7}, "body.message"),
        ({"message": ["Hi"]}, "body.message"),
        ({"message": ""}, "body.message"),
        ({"message": " \n\t "}, "body.message"),
        ({"message": "x" * 8_001}, "body.message"),
        ({"message": "a\x00b"}, "body.message"),
        ({"message": "\ud800"}, "body.message"),
        ({"message": "Hi", "conversation_id": True}, "body.conversation_id"),
        ({"message": "Hi", "conversation_id": "7"}, "body.conversation_id"),
        ({"message": "Hi", "conversation_id": 7.5}, "body.conversation_id"),
        ({"message": "Hi", "conversation_id": 0}, "body.conversation_id"),
        ({"message": "Hi", "conversation_id": -1}, "body.conversation_id"),
        ({"message": "Hi", "conversation_id": 2**63}, "body.conversation_id"),
        ({"message": "Hi", "conversation_id": 10**400}, "body.conversation_id"),
        ({"message": "Hi", "timezone": "Mars/Olympus"}, "body.timezone"),
        ({"message": "Hi", "timezone": "Europe"}, "body.timezone"),
        ({"message": "Hi", "timezone": "../../etc/passwd"}, "body.timezone"),
        ({"message": "Hi", "timezone": "a\x00"}, "body.timezone"),
        ({"message": "Hi", "timezone": "localtime"}, "body.timezone"),
        ({"message": "Hi", "timezone": 1}, "body.timezone"),
        ({"message": "Hi", "user_id": "bob"}, "body.user_id"),
        ({"message": "Hi", "\ud800": 1}, "body"),
        ([], "body"),
        ("null", "body"),
        ("7", "body"),
        ("not JSON", "body"),
        ('{"message": "Hi"', "body"),
        ("[" * 50_000, "body"),
        (None, "body"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_invalid_field_is_named_and_nothing_is_written(
    post_chat: Post, scripted_model: ScriptedModel, body: object, field: str
) -> None:
    answer = post_chat(body)
    assert_problem(answer, 422, "invalid-request")
    assert any(fault["field"].startswith(field) for fault in answer.body.get("fields", [{"field": "body"}]))
    assert (count(Turn), count(Message), count(Conversation)) == (0, 0, 0)
    assert scripted_model.requests == []


def test_a_message_may_have_8000_characters(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Long."))
    message = "\N{GRINNING FACE}" * 8_000
    answer = post_chat({"message": f" {message} ", "timezone": "America/Argentina/Buenos_Aires"})
    assert answer.status == 200
    assert scripted_model.requests[0].messages[-1]["content"].endswith(message)


@pytest.mark.parametrize(
    ("timezone", "told"), [(None, "+00:00 (UTC)"), ("", "+00:00 (UTC)"), ("+05:45", "+05:45 (UTC+05:45)")]
)
def test_a_time_zone_may_be_null_empty_or_an_offset(
    post_chat: Post, scripted_model: ScriptedModel, timezone: str | None, told: str
) -> None:
    scripted_model.script(says("Hello."))
    assert post_chat({"message": "Hi", "timezone": timezone}).status == 200
    assert told in scripted_model.requests[0].messages[-1]["content"]


def test_a_body_of_a_megabyte_is_too_large(post_chat: Post) -> None:
    assert_problem(post_chat({"message": "x" * 1_000_000}), 413, "too-large")


def test_a_body_that_is_not_utf_8_is_refused(chat_handler: Callable[..., Any]) -> None:
    event = http_event("POST", "/chat", body="/w==") | {"isBase64Encoded": True}
    assert_problem(invoke(chat_handler, event), 422, "invalid-request")


@pytest.mark.parametrize("key", ["", " \t", "x" * 256, "with space", "t\tab", "\N{SNOWMAN}", "a\x00"])
def test_an_invalid_idempotency_key_is_refused(post_chat: Post, key: str) -> None:
    answer = post_chat(BUY_GROCERIES, headers={"Idempotency-Key": key})
    assert_problem(answer, 422, "invalid-request")
    assert answer.body["fields"][0]["field"] == "header.Idempotency-Key"
    assert count(Turn) == 0


@pytest.mark.parametrize("key", ["x", "!" * 255, "~#{}", " blanks-around\t"])
def test_an_idempotency_key_of_visible_ascii_is_accepted(
    post_chat: Post, scripted_model: ScriptedModel, key: str
) -> None:
    scripted_model.script(says("Hello."))
    answer = post_chat(BUY_GROCERIES, headers={"Idempotency-Key": key})
    assert (answer.status, answer.headers["idempotency-key"]) == (200, key.strip())


def test_a_path_prefix_changes_nothing(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    assert post_chat(BUY_GROCERIES, prefix="/v1").status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/chat", 405, "method-not-allowed"), ("GET", "/docs", 404, "not-found"), ("POST", "/", 404, "not-found")],
)
def test_another_route_or_method_gets_a_problem(
    chat_handler: Callable[..., Any], method: str, path: str, status: int, code: str
) -> None:
    assert_problem(invoke(chat_handler, http_event(method, path)), status, code)
