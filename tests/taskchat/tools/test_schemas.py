"""What a model and an MCP client are told about the tools."""

import json
from typing import Any

import pytest

from taskchat.tools import TOOLS, Tool, function_schemas

NAMES = ["create_task", "list_tasks", "get_task", "update_task", "complete_task", "reopen_task", "delete_task"]
ARGUMENTS = {
    "create_task": (["title", "description", "priority", "due_at"], ["title"]),
    "list_tasks": (["status", "priority", "due_before", "text", "limit"], []),
    "get_task": (["task_id"], ["task_id"]),
    "update_task": (["task_id", "title", "description", "priority", "due_at", "clear"], ["task_id"]),
    "complete_task": (["task_id"], ["task_id"]),
    "reopen_task": (["task_id"], ["task_id"]),
    "delete_task": (["task_id"], ["task_id"]),
}
HINTS = {
    "create_task": (False, False, False),
    "list_tasks": (True, False, True),
    "get_task": (True, False, True),
    "update_task": (False, True, True),
    "complete_task": (False, False, True),
    "reopen_task": (False, False, True),
    "delete_task": (False, True, True),
}
KEYWORDS = {
    *("additionalProperties", "default", "description", "enum", "items", "maxLength", "maximum", "minimum"),
    *("properties", "required", "type"),
}

every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


def test_the_seven_tools_are_there_under_their_names() -> None:
    assert list(TOOLS) == NAMES
    assert [tool.name for tool in TOOLS.values()] == NAMES


def test_the_model_is_offered_each_tool_as_a_function() -> None:
    assert function_schemas() == [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.input_schema,
            },
        }
        for tool in TOOLS.values()
    ]


def test_the_schemas_are_made_once() -> None:
    assert function_schemas() is function_schemas()
    assert TOOLS["get_task"].output_schema is TOOLS["get_task"].output_schema


@every_tool
def test_what_may_be_left_out_is_not_required(tool: Tool) -> None:
    names, required = ARGUMENTS[tool.name]
    assert list(tool.input_schema["properties"]) == names
    assert tool.input_schema.get("required", []) == required


@every_tool
def test_an_input_schema_is_plain_and_closed(tool: Tool) -> None:
    assert tool.input_schema["type"] == "object"
    assert tool.input_schema["additionalProperties"] is False
    assert keywords(tool.input_schema) <= KEYWORDS
    assert all(isinstance(each["type"], str) for each in tool.input_schema["properties"].values())


@every_tool
def test_nobody_is_asked_who_the_person_is(tool: Tool) -> None:
    assert "user" not in json.dumps(tool.input_schema)


@every_tool
def test_an_output_schema_requires_all_that_is_always_there(tool: Tool) -> None:
    assert tool.output_schema["type"] == "object"
    assert {"id", "title"} <= set(tool.output_schema["required"]) or tool.name == "list_tasks"


@every_tool
def test_a_client_is_told_what_a_tool_may_do(tool: Tool) -> None:
    read_only, destructive, idempotent = HINTS[tool.name]
    assert tool.annotations == {
        "readOnlyHint": read_only,
        "destructiveHint": destructive,
        "idempotentHint": idempotent,
        "openWorldHint": False,
    }


@every_tool
def test_a_tool_has_a_title_and_a_description(tool: Tool) -> None:
    assert tool.title
    assert tool.description.endswith(".")


def keywords(schema: dict[str, Any]) -> set[str]:
    """Return the JSON Schema keywords in use; the names of properties are no keywords."""
    below = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return set(schema).union(*(keywords(each) for each in below))
