"""MCP Inspector's command line against Taskchat's own MCP function."""

import json
from typing import Any

from taskchat.tools import TOOLS
from tests.conformance.conftest import Run


def inspect(run: Run, url: str, *arguments: str) -> Any:
    """Return what the Inspector prints."""
    done = run("mcp-inspector", "--cli", url, "--transport", "http", *arguments)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def test_the_inspector_lists_the_tools(run: Run, taskchat_url: str) -> None:
    listed = inspect(run, taskchat_url, "--method", "tools/list")

    assert {tool["name"] for tool in listed["tools"]} == set(TOOLS)


def test_the_inspector_finds_no_fault_in_the_schemas(run: Run, taskchat_url: str) -> None:
    assert inspect(run, taskchat_url, "--method", "tools/list", "--strict")["tools"]


def test_the_inspector_calls_a_tool_and_reads_what_it_did(run: Run, taskchat_url: str) -> None:
    arguments = ("--tool-name", "create_task", "--tool-arg", "title=Buy milk", "priority=high")
    created = inspect(run, taskchat_url, "--method", "tools/call", *arguments)["structuredContent"]
    read = inspect(run, taskchat_url, "--method", "resources/read", "--uri", f"task://{created['id']}")

    assert json.loads(read["contents"][0]["text"])["title"] == "Buy milk"
