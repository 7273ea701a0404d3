"""The tools over MCP, in every version that is served, on both databases."""

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from taskchat.database import database
from taskchat.models import Conversation, Message, Task, Turn
from taskchat.tools import TOOLS
from tests.functions.mcp.conftest import NEWEST_HANDSHAKE, Peer
from tests.support.owner import as_owner

WARM_CALLS = 20


def count(table: type) -> int:
    return as_owner(
        database(), lambda connection: connection.execute(select(func.count()).select_from(table)).scalar_one()
    )


def test_every_tool_is_shown_with_schemas_and_annotations(peer: Peer) -> None:
    shown = {tool["name"]: tool for tool in peer.result("tools/list")["tools"]}

    assert list(shown) == list(TOOLS)
    for name, tool in TOOLS.items():
        assert shown[name]["title"] == tool.title
        assert shown[name]["inputSchema"] == tool.input_schema
        assert shown[name]["outputSchema"] == tool.output_schema
        assert shown[name]["annotations"] == dict(tool.annotations)
    assert shown["create_task"]["inputSchema"]["required"] == ["title"]


def test_every_tool_answers_as_text_and_as_structure(peer: Peer) -> None:
    task_id = peer.created("Buy milk")
    calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("list_tasks", {"text": "MILK"}, {"count": 1, "more": False}),
        ("get_task", {"task_id": task_id}, {"title": "Buy milk", "completed": False}),
        ("update_task", {"task_id": task_id, "priority": "high"}, {"priority": "high", "updated": True}),
        ("complete_task", {"task_id": task_id}, {"completed": True, "already_completed": False}),
        ("reopen_task", {"task_id": task_id}, {"completed": False, "already_pending": False}),
        ("delete_task", {"task_id": task_id}, {"deleted": True}),
        (
            "undo_last_change",
            {},
            {"tasks": [{"id": task_id, "title": "Buy milk", "undone": "delete_task", "now": "restored"}]},
        ),
    ]
    assert {tool for tool, _, _ in calls} | {"create_task"} == set(TOOLS)
    for tool, arguments, expected in calls:
        result = peer.call(tool, **arguments)
        assert result["isError"] is False, result
        assert expected.items() <= result["structuredContent"].items()
        assert [json.loads(part["text"]) for part in result["content"]] == [result["structuredContent"]]


def test_each_change_is_audited_once_and_no_read_is(peer: Peer) -> None:
    task_id = peer.created("Buy milk")
    peer.call("complete_task", task_id=task_id)
    for tool, arguments in (("list_tasks", {}), ("get_task", {"task_id": task_id})):
        peer.call(tool, **arguments)
    peer.result("resources/read", {"uri": "tasks://all"})

    assert (count(Conversation), count(Turn), count(Message)) == (1, 2, 4)


def call_with(peer: Peer, key: object, title: str) -> Any:
    """Create a task under the client's key."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": peer.version,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": peer.client, "version": "1"},
        "idempotencyKey": key,
    }
    params = {"name": "create_task", "arguments": {"title": title}, "_meta": meta}
    headers = {"mcp-protocol-version": peer.version, "mcp-method": "tools/call", "mcp-name": "create_task"}
    return peer.post({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}, headers).body


def test_a_call_with_the_same_key_has_its_effect_once(peer: Peer) -> None:
    first, again = (call_with(peer, "my key", "Milk") for _ in range(2))
    assert again["result"]["structuredContent"] == first["result"]["structuredContent"]
    call_with(replace(peer, user="bob"), "my key", "Milk")
    call_with(peer, "another key", "Milk")
    assert (count(Task), count(Turn)) == (3, 3)


def test_a_key_of_another_call_is_refused(peer: Peer) -> None:
    call_with(peer, "my key", "Milk")
    assert call_with(peer, "my key", "Bread")["error"]["data"]["code"] == "idempotency-key-reused"
    assert count(Task) == 1


@pytest.mark.parametrize("key", ["", 7, "x" * 256, "\x00"], ids=["empty", "number", "long", "NUL"])
def test_a_key_that_is_no_text_is_refused(peer: Peer, key: object) -> None:
    assert call_with(peer, key, "Milk")["error"]["code"] == -32602
    assert count(Task) == 0


def test_a_request_repeated_in_its_session_is_done_once(modern: Peer) -> None:
    params = {"name": "create_task", "arguments": {"title": "Milk"}}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    for _ in range(2):
        tag = modern.initialize(NEWEST_HANDSHAKE).headers["mcp-session-id"]
        headers = {"mcp-protocol-version": NEWEST_HANDSHAKE, "mcp-session-id": tag}
        first, again = (modern.post(message, headers).body["result"] for _ in range(2))
        assert again["structuredContent"] == first["structuredContent"]
    assert count(Task) == 2


def test_a_request_outside_a_session_has_no_key(modern: Peer) -> None:
    params = {"name": "create_task", "arguments": {"title": "Milk"}}
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}
    for _ in range(2):
        modern.post(message, {"mcp-protocol-version": NEWEST_HANDSHAKE})
    assert count(Task) == 2


@pytest.mark.parametrize(
    ("tool", "arguments", "hint"),
    [
        ("create_task", {}, "title: This is required"),
        ("create_task", {"title": "x", "colour": "red"}, "There is no such argument"),
        ("complete_task", {"task_id": "soon"}, "task_id"),
        ("get_task", {"task_id": 4711}, "There is no task 4711."),
        ("update_task", {"task_id": 1}, "Give at least one of"),
    ],
)
def test_a_mistake_is_a_tool_error_that_says_what_to_correct(
    peer: Peer, tool: str, arguments: dict[str, Any], hint: str
) -> None:
    result = peer.call(tool, **arguments)

    assert result["isError"] is True
    assert hint in result["content"][0]["text"]
    assert "structuredContent" not in result
    assert count(Message) == 0


def test_an_unknown_tool_is_an_error_of_the_protocol(peer: Peer) -> None:
    error = peer.error("tools/call", {"name": "drop_table", "arguments": {}})

    assert error["code"] == -32602
    assert "create_task" in error["message"]


@pytest.mark.parametrize("tool", ["get_task", "update_task", "complete_task", "reopen_task", "delete_task"])
def test_a_foreign_task_is_reported_like_a_missing_one(peer: Peer, tool: str) -> None:
    task_id = peer.created("Ann's own")
    bob = replace(peer, user="bob")
    more = {"title": "Bob's now"} if tool == "update_task" else {}
    theirs = bob.call(tool, task_id=task_id, **more)
    nobodys = bob.call(tool, task_id=task_id + 1000, **more)

    assert theirs["isError"] is nobodys["isError"] is True
    assert theirs["content"][0]["text"].replace(str(task_id), "N") == nobodys["content"][0]["text"].replace(
        str(task_id + 1000), "N"
    )
    assert peer.call("get_task", task_id=task_id)["structuredContent"]["title"] == "Ann's own"


def test_a_warm_instance_serves_many_calls_in_a_row(peer: Peer) -> None:
    ids = [peer.created(f"task {number}") for number in range(WARM_CALLS)]

    assert len(set(ids)) == WARM_CALLS
    assert peer.call("list_tasks")["structuredContent"]["count"] == WARM_CALLS
    assert (count(Conversation), count(Turn)) == (1, WARM_CALLS)


def test_a_list_has_one_page(peer: Peer) -> None:
    for method in ("tools/list", "resources/list", "resources/templates/list", "prompts/list"):
        assert peer.error(method, {"cursor": "2"})["code"] == -32602
