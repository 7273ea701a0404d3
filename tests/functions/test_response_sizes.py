"""A response stays under 5 MB, and under Lambda's own limit of 6 MB, whatever the audit trail holds."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select

from functions.chat import app as chat_app
from functions.conversations import app as conversations_app
from functions.mcp import app as mcp_app
from functions.tasks import app as tasks_app
from local.lambda_events import LambdaContext, http_event
from taskchat import principal
from taskchat.database import database
from taskchat.models import MESSAGES, TASKS, TITLE_CHARACTERS, TURNS, USERS, Role
from tests.functions.mcp.conftest import HOST, MODERN
from tests.support.owner import as_owner
from tests.support.scripted_model import Completion, ScriptedModel, calls, says

LARGEST_BODY_BYTES = 5_000_000
LARGEST_PAYLOAD_BYTES = 6_291_556
"""Of a synchronous response: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""
WORST = '\x01"\\😀é'
"""Characters that take the most bytes in JSON, and in JSON inside JSON."""
LONG_CALL = {
    "id": "call_1",
    "tool": "list_tasks",
    "arguments": {},
    "result": {"tasks": [{"id": 7, "title": WORST * 50}] * 1_000},
    "timestamp": "2025-12-07T10:30:00Z",
}
MESSAGE = {"message": "Show everything"}
KEY = {"Idempotency-Key": "key-1"}

pytestmark = pytest.mark.usefixtures("chat_handler")


@pytest.fixture(autouse=True)
def _mcp_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_HOSTS", HOST)


def respond(handler: Callable[..., dict[str, Any]], *request: Any, **event: Any) -> Any:
    """Return the parsed body of a response that keeps to both limits."""
    response = handler(http_event(*request, **event), LambdaContext())
    assert response["statusCode"] == 200, response
    assert len(json.dumps(response, ensure_ascii=False).encode()) < LARGEST_PAYLOAD_BYTES
    assert len(response["body"].encode()) < LARGEST_BODY_BYTES
    return json.loads(response["body"])


def ask_mcp(method: str, params: dict[str, Any], name: str) -> Any:
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "Test", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}
    headers = {"accept": "application/json, text/event-stream", "host": HOST, "mcp-protocol-version": MODERN}
    headers |= {"mcp-method": method, "mcp-name": name}
    return respond(mcp_app.handler, "POST", "/mcp", body=body, headers=headers)["result"]


def test_a_long_audit_trail_comes_in_bounded_responses(scripted_model: ScriptedModel) -> None:
    def record_long_steps(_request: object) -> Completion:
        def work(connection: Any) -> None:
            turn = connection.execute(select(TURNS.c.id, TURNS.c.conversation_id)).one()
            shared = {"turn_id": turn.id, "conversation_id": turn.conversation_id, "role": Role.ASSISTANT}
            steps = [{**shared, "content": WORST * 3_000, "tool_calls": [LONG_CALL, LONG_CALL]} for _ in range(2)]
            words = [{**shared, "content": WORST * 3_000, "tool_calls": []} for _ in range(60)]
            connection.execute(insert(MESSAGES), [*steps, *words])

        as_owner(database(), work)
        return says("Done.")

    scripted_model.script(record_long_steps)
    first = respond(chat_app.handler, "POST", "/chat", body=MESSAGE, headers=KEY)

    replayed = respond(chat_app.handler, "POST", "/chat", body=MESSAGE, headers=KEY)
    assert (replayed["response"], replayed["message_id"]) == ("Done.", first["message_id"])
    turn = respond(chat_app.handler, "GET", f"/turns/{first['turn_id']}")
    assert turn["response"] == "Done."

    path, query = f"/conversations/{first['conversation_id']}/messages", {"limit": "100"}
    seen: list[Any] = []
    while True:
        page = respond(conversations_app.handler, "GET", path, query=query)
        seen = [*page["items"], *seen]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert [message["id"] for message in seen] == sorted({message["id"] for message in seen})
    assert len(seen) == 64
    assert all(message["content"] for message in seen)
    for step in seen[1:3]:
        assert step["tool_calls"][-1]["result"]["left_out"]

    uri = f"conversation://{first['conversation_id']}"
    transcript = ask_mcp("resources/read", {"uri": uri}, uri)
    assert "Earlier messages are left out" in transcript["contents"][0]["text"]


def test_a_turn_with_many_results_is_bounded(scripted_model: ScriptedModel) -> None:
    store_long_tasks(100)
    listing = calls(*[("list_tasks", {"limit": 100})] * 30)
    scripted_model.script(listing, calls(("create_task", {"title": "Late"})), says("There are many."))
    answer = respond(chat_app.handler, "POST", "/chat", body=MESSAGE)
    refused = [call for call in answer["tool_calls"] if "error" in call]
    assert answer["response"] == "There are many."
    assert {call["error"]["code"] for call in refused} == {"limit-reached"}
    assert (refused[-1]["tool"], len(answer["tool_calls"])) == ("create_task", 31)
    assert respond(chat_app.handler, "GET", f"/turns/{answer['turn_id']}")["response"] == answer["response"]


def test_a_long_task_list_is_bounded() -> None:
    store_long_tasks(1_001)
    listed = ask_mcp("tools/call", {"name": "list_tasks", "arguments": {"limit": 100}}, "list_tasks")
    assert listed["structuredContent"]["count"] == 100
    (contents,) = ask_mcp("resources/read", {"uri": "tasks://all"}, "tasks://all")["contents"]
    assert len(json.loads(contents["text"])["tasks"]) == 1_000
    page = respond(tasks_app.handler, "GET", "/tasks", query={"limit": "100"})
    assert (len(page["items"]), page["next_cursor"] is None) == (100, False)
    prompt = ask_mcp("prompts/get", {"name": "weekly_review", "arguments": {}}, "weekly_review")
    assert len(prompt["messages"]) == 2


def store_long_tasks(count: int) -> None:
    """Store tasks of the caller, with the longest titles and descriptions."""
    sample = "".join(WORST[number % len(WORST)] for number in range(4_000))

    def work(connection: Any) -> None:
        user_id = user_of_caller(connection)
        row = {"user_id": user_id, "title": sample[:TITLE_CHARACTERS], "description": sample}
        connection.execute(insert(TASKS), [row] * count)

    as_owner(database(), work)


def user_of_caller(connection: Any) -> Any:
    person = principal.from_event(http_event("GET", "/"))
    if connection.execute(select(USERS.c.id).where(USERS.c.id == person.user_id)).one_or_none() is None:
        connection.execute(insert(USERS).values(id=person.user_id, subject=person.subject))
    return person.user_id
