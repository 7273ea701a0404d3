"""The tool decorator; the example of docs/adding-a-tool.md is one of its users."""

import json
import re
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from taskchat.tasks import tools as task_tools
from taskchat.toolkit import Tool, ToolContext, ToolOutput, ToolRequest, execute, tool, tools_of
from taskchat.tools import TOOLS
from tests.support.rolled_back import ANN

PAGE = Path(__file__).parents[3] / "docs" / "adding-a-tool.md"


class Nothing(ToolOutput):
    """An empty result."""


@pytest.fixture
def page() -> list[str]:
    """Return the Python code of the page: the tool and its test."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.fixture
def documented_tools(page: list[str]) -> dict[str, Tool]:
    """Return all tools together with the one of the page."""
    module = ModuleType(task_tools.__name__)
    vars(module).update(vars(task_tools))
    exec(page[0], vars(module))  # noqa: S102 - the code of our own page
    return {**TOOLS, **tools_of(module)}


def test_the_documented_tool_passes_its_documented_test(
    connection: Connection, documented_tools: dict[str, Tool], page: list[str]
) -> None:
    def use(name: str, **arguments: Any) -> Any:
        request = ToolRequest("call_1", name, json.dumps(arguments))
        zone, turn_id = ZoneInfo("Europe/Berlin"), uuid.uuid4()
        return execute(documented_tools, connection, request, user_id=ANN, time_zone=zone, turn_id=turn_id)

    names: dict[str, Any] = {}
    exec(page[1], names)  # noqa: S102 - the code of our own page
    names["test_postpone_task"](use)
    without_date = use("create_task", title="Call")["result"]["id"]
    assert "has no due date" in use("postpone_task", task_id=without_date)["error"]["message"]


def test_a_tool_is_described_by_its_function(documented_tools: dict[str, Tool]) -> None:
    postpone = documented_tools["postpone_task"]
    assert postpone.title == "Postpone a task"
    assert postpone.description == "Move the due date of a task to a later day."
    assert postpone.input_schema == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "task_id": {"type": "integer", "minimum": 1, "description": "The id of the task, as list_tasks shows it."},
            "days": {
                "type": "integer",
                "default": 1,
                "minimum": 1,
                "maximum": 365,
                "description": "By how many days.",
            },
        },
        "required": ["task_id"],
    }
    assert postpone.annotations == {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": False,
        "openWorldHint": False,
    }


def test_a_function_that_is_no_tool_is_refused() -> None:
    def no_docstring(_context: ToolContext) -> Nothing:
        return Nothing()

    def no_result(_context: ToolContext) -> Any:
        """Return something unknown."""

    def no_annotation(_context: ToolContext, task_id) -> Nothing:  # type: ignore[no-untyped-def] # noqa: ARG001
        """Take something unknown."""
        return Nothing()

    for function in (no_docstring, no_result, no_annotation):
        with pytest.raises(TypeError, match=function.__name__):
            tool(title="Bad")(function)


def test_a_function_of_other_types_is_refused() -> None:
    """Refuse it at import, and in `make lint`: mypy reports a `type: ignore` that is not needed."""

    def no_context(task_id: int) -> Nothing:  # noqa: ARG001
        """Take no context."""
        return Nothing()

    def wrong_result(_context: ToolContext) -> int:
        """Return no output."""
        return 1

    with pytest.raises(TypeError, match="no_context"):
        tool(title="Bad")(no_context)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="wrong_result"):
        tool(title="Bad")(wrong_result)  # type: ignore[arg-type]
