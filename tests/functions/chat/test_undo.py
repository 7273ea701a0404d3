"""POST /turns/{id}/undo and `replaces_turn_id`, from event to response."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from functions.conversations import app as conversations_app
from local.lambda_events import Answer, http_event, invoke
from taskchat.database import database
from taskchat.models import Task
from tests.functions.conftest import Post
from tests.support.owner import as_owner
from tests.support.scripted_model import ScriptedModel, calls, says

Undo = Callable[..., Answer]
ADD_MILK = calls(("create_task", {"title": "Milk"}))


@pytest.fixture
def undo(chat_handler: Any) -> Undo:
    """Return a client of POST /turns/{id}/undo."""

    def post(turn_id: str, key: str = "undo") -> Answer:
        event = http_event("POST", f"/turns/{turn_id}/undo", headers={"Idempotency-Key": key})
        return invoke(chat_handler, event)

    return post


def test_an_undo_tells_what_was_taken_back(post_chat: Post, undo: Undo, scripted_model: ScriptedModel) -> None:
    scripted_model.script(ADD_MILK, says("Added."))
    turn_id = post_chat({"message": "Add milk"}).body["turn_id"]
    undone = undo(turn_id)
    assert undone.status == 200
    assert undone.body.keys() == {"turn_id", "conversation_id", "message_id", "tool_calls"}
    (call,) = undone.body["tool_calls"]
    assert (call["before"]["title"], call["after"]) == ("Milk", None)

    repeated = undo(turn_id)
    assert (repeated.status, repeated.body) == (200, undone.body)
    assert repeated.headers["idempotent-replayed"] == "true"
    again = undo(turn_id, "other")
    assert (again.status, again.body["code"]) == (409, "already-undone")
    reused = undo(undone.body["turn_id"])
    assert (reused.status, reused.body["code"]) == (422, "idempotency-key-reused")
    assert undo(undone.body["turn_id"], "back").status == 200


def test_a_conflict_tells_what_differs(post_chat: Post, undo: Undo, scripted_model: ScriptedModel) -> None:
    scripted_model.script(ADD_MILK, says("Added."))
    first = post_chat({"message": "Add milk"}).body
    as_owner(database(), lambda connection: connection.execute(update(Task).values({col(Task.title): "Oat milk"})))
    edit = {"message": "Add bread", "replaces_turn_id": first["turn_id"]}
    for refused in (undo(first["turn_id"]), post_chat(edit)):
        assert (refused.status, refused.body["code"]) == (409, "changed-since")
        (conflict,) = refused.body["conflicts"]
        assert conflict["expected"]["title"] == "Milk"
        assert conflict["found"]["title"] == "Oat milk"


def test_a_turn_without_changes_has_nothing_to_undo(post_chat: Post, undo: Undo, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("Hello."))
    refused = undo(post_chat({"message": "Hello"}).body["turn_id"])
    assert (refused.status, refused.body["code"]) == (409, "nothing-to-undo")


def test_a_replaced_turn_is_shown_on_request(post_chat: Post, scripted_model: ScriptedModel) -> None:
    scripted_model.script(ADD_MILK, says("Added."), says("Hello."))
    first = post_chat({"message": "Add milk"}).body
    second = post_chat({"message": "Hello", "replaces_turn_id": first["turn_id"]}).body
    path = f"/conversations/{second['conversation_id']}/messages"

    def contents(**query: str) -> list[str]:
        page = invoke(conversations_app.handler, http_event("GET", path, query=query))
        return [message["content"] for message in page.body["items"]]

    assert contents() == ["Hello", "Hello."]
    assert contents(replaced="true") == ["Add milk", "", "Added.", "", "Hello", "Hello."]


@pytest.mark.parametrize("replaced", ["7", "not-a-turn"])
def test_a_turn_id_that_is_none_is_refused(post_chat: Post, replaced: str) -> None:
    refused = post_chat({"message": "Hello", "replaces_turn_id": replaced})
    assert (refused.status, refused.body["fields"][0]["field"]) == (422, "body.replaces_turn_id")
