"""The official MCP client with a real `make run`: both generations of the protocol, and several clients at once."""

import json
import urllib.error
import urllib.request
from typing import Any

import anyio
import pytest

from tests.local.conftest import Running, Start
from tests.support.mcp_clients import GENERATIONS, called, connected, run, use_everything

TASKS_EACH = 5

pytestmark = pytest.mark.xdist_group("make run")


def fetch(running: Running, path: str, body: Any = None) -> Any:
    """Return the answer to a request of Ann's."""
    request = urllib.request.Request(  # noqa: S310 - the URL is one of ours
        running.url + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": "Bearer local:ann"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.loads(answer.read())


def audited_by_title(running: Running) -> dict[str, list[dict[str, Any]]]:
    """Return Ann's tool calls by the title of their conversation."""
    conversations = fetch(running, "/conversations?limit=100")["items"]
    return {
        item["title"]: [
            call
            for message in fetch(running, f"/conversations/{item['id']}/messages?limit=100")["items"]
            for call in message["tool_calls"] or ()
        ]
        for item in conversations
    }


@pytest.mark.parametrize("mode", GENERATIONS)
def test_a_client_can_use_everything(start: Start, tmp_path: Any, mode: str) -> None:
    running = start(DATABASE_URL=f"sqlite:///{tmp_path / 'db'}")

    run(use_everything, running.url, mode)


def test_clients_and_a_chat_at_once_are_audited_once(start: Start, database_url: str) -> None:
    running = start(DATABASE_URL=database_url)

    async def work(mode: str, name: str) -> None:
        async with connected(running.url, mode=mode, name=name) as client:
            for number in range(TASKS_EACH):
                task_id = (await called(client, "create_task", title=f"{name} {number}"))["id"]
                await called(client, "complete_task", task_id=task_id)

    async def talk() -> None:
        conversation_id = None
        for number in range(TASKS_EACH):
            body = {"message": f"Add a task to talk {number}", "conversation_id": conversation_id}
            answer = await anyio.to_thread.run_sync(fetch, running, "/chat", body)
            conversation_id = answer["conversation_id"]

    async def all_at_once() -> list[dict[str, Any]]:
        async with anyio.create_task_group() as group:
            group.start_soon(work, "auto", "Editor")
            group.start_soon(work, "legacy", "Agent")
            group.start_soon(talk)
        async with connected(running.url) as client:
            listed = await called(client, "list_tasks", limit=100)
        tasks: list[dict[str, Any]] = listed["tasks"]
        return tasks

    tasks = run(all_at_once)
    done = sorted(task["title"] for task in tasks if task["completed"])
    assert done == sorted(f"{name} {number}" for name in ("Editor", "Agent") for number in range(TASKS_EACH))
    assert len(tasks) == 3 * TASKS_EACH
    audit = audited_by_title(running)
    for name in ("Editor", "Agent"):
        assert [call["tool"] for call in audit.pop(name)] == ["create_task", "complete_task"] * TASKS_EACH
    (talked,) = audit.values()
    assert [call["tool"] for call in talked] == ["create_task"] * TASKS_EACH


def test_an_unknown_client_is_refused(start: Start, tmp_path: Any) -> None:
    running = start(DATABASE_URL=f"sqlite:///{tmp_path / 'db'}")
    request = urllib.request.Request(  # noqa: S310 - the URL is one of ours
        running.url + "/mcp", data=b"{}", headers={"Authorization": "Bearer forged"}
    )
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(request, timeout=60)  # noqa: S310
    with refused.value as answer:
        assert answer.headers["WWW-Authenticate"] == "Bearer"
