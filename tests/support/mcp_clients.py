"""The official client of the Model Context Protocol, as different people and in both generations of the protocol."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, Implementation, PromptReference, ResourceTemplateReference, TextResourceContents

Result = TypeVar("Result")

GENERATIONS = {"auto": "2026-07-28", "legacy": "2025-11-25"}
"""How a client connects, and the version that it then speaks."""
WARM_CALLS = 20


def run(work: Callable[..., Awaitable[Result]], *arguments: Any) -> Result:
    """Run a coroutine function to its end, in a thread: the functions under test keep this thread's event loop."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(anyio.run, work, *arguments).result()


@asynccontextmanager
async def connected(url: str, *, mode: str = "auto", user: str = "ann", name: str = "Editor") -> AsyncIterator[Client]:
    """Yield a client of `/mcp` below this URL."""
    headers = {"Authorization": f"Bearer local:{user}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30) as http,
        Client(
            streamable_http_client(f"{url}/mcp", http_client=http),
            mode=mode,
            client_info=Implementation(name=name, version="1"),
        ) as client,
    ):
        yield client


async def called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that must succeed, and return its result."""
    result = await client.call_tool(tool, arguments)
    assert isinstance(result, CallToolResult)
    assert not result.is_error, result
    structured: dict[str, Any] = result.structured_content
    return structured


async def text_of(client: Client, uri: str) -> str:
    """Return a resource's text."""
    (contents,) = (await client.read_resource(uri)).contents
    assert isinstance(contents, TextResourceContents)
    return contents.text


async def use_everything(url: str, mode: str) -> None:
    """List, call each tool, read each resource, get each prompt, and make every mistake, as Ann; Bob sees nothing."""
    async with connected(url, mode=mode) as client:
        assert client.protocol_version == GENERATIONS[mode]
        shown = {tool.name for tool in (await client.list_tools()).tools}
        task_id = await _use_each_tool(client, shown)
        await _use_resources_and_prompts(client, task_id)
        await _make_mistakes(client)
    async with connected(url, mode=mode, user="bob") as stranger:
        await _find_nothing(stranger, task_id)
    async with connected(url, mode=mode, user="carol") as client:
        ids = [(await called(client, "create_task", title=f"task {number}"))["id"] for number in range(WARM_CALLS)]
        assert len(set(ids)) == WARM_CALLS


async def _use_each_tool(client: Client, shown: set[str]) -> int:
    task_id = int((await called(client, "create_task", title="Buy milk", due_at="2030-01-31T10:00:00+01:00"))["id"])
    gone = int((await called(client, "create_task", title="Gone soon"))["id"])
    steps: list[tuple[str, dict[str, Any]]] = [
        ("list_tasks", {"status": "pending"}),
        ("get_task", {"task_id": task_id}),
        ("update_task", {"task_id": task_id, "priority": "urgent"}),
        ("complete_task", {"task_id": task_id}),
        ("reopen_task", {"task_id": task_id}),
        ("delete_task", {"task_id": gone}),
        ("undo_last_change", {}),
    ]
    assert shown == {tool for tool, _ in steps} | {"create_task"}
    for tool, arguments in steps:
        await called(client, tool, **arguments)
    task = await called(client, "get_task", task_id=task_id)
    assert (task["priority"], task["completed"], task["due_at"]) == ("urgent", False, "2030-01-31T09:00:00+00:00")
    return task_id


async def _use_resources_and_prompts(client: Client, task_id: int) -> None:
    for resource in (await client.list_resources()).resources:
        assert task_id in [task["id"] for task in json.loads(await text_of(client, resource.uri))["tasks"]]
    assert json.loads(await text_of(client, f"task://{task_id}"))["title"] == "Buy milk"
    templates = [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
    assert templates == ["task://{id}", "conversation://{id}"]
    ids = {}
    for template in templates:
        reference = ResourceTemplateReference(uri=template)
        ids[template] = (await client.complete(reference, {"name": "id", "value": ""})).completion.values
    assert str(task_id) in ids["task://{id}"]
    assert (await text_of(client, f"conversation://{ids['conversation://{id}'][0]}")).startswith(
        '# Conversation "Editor"'
    )
    for prompt in (await client.list_prompts()).prompts:
        got = await client.get_prompt(prompt.name, {"timezone": "Europe/Berlin"})
        assert len(got.messages) == 2
        await client.complete(PromptReference(name=prompt.name), {"name": "timezone", "value": ""})


async def _make_mistakes(client: Client) -> None:
    result = await client.call_tool("create_task", {"title": ""})
    assert isinstance(result, CallToolResult)
    assert result.is_error
    for mistake in (
        client.call_tool("drop_table", {}),
        client.read_resource("task://999999"),
        client.read_resource("note://1"),
        client.get_prompt("plan_my_life"),
    ):
        with pytest.raises(MCPError, match="There is no"):
            await mistake


async def _find_nothing(stranger: Client, task_id: int) -> None:
    assert (await called(stranger, "list_tasks"))["tasks"] == []
    for tool in ("get_task", "complete_task", "delete_task"):
        result = await stranger.call_tool(tool, {"task_id": task_id})
        assert isinstance(result, CallToolResult)
        assert result.is_error
    with pytest.raises(MCPError, match="There is no task"):
        await stranger.read_resource(f"task://{task_id}")
