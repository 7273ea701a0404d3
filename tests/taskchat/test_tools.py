"""Properties that hold for every tool. A new tool is covered without a change here."""

import json
from typing import Any

import pytest
from sqlalchemy import Connection, event, select

from taskchat.models import TASKS
from taskchat.toolkit import Tool
from taskchat.tools import TOOLS
from tests.support import rolled_back, tool_calls
from tests.support.rolled_back import ANN, BOB
from tests.support.tool_calls import Use, record_turn, result, sample_arguments

connection = rolled_back.connection
shared_database = rolled_back.shared_database
use = tool_calls.use

KEYWORDS = {
    *("additionalProperties", "default", "description", "enum", "items", "maxLength", "maximum", "minimum"),
    *("properties", "required", "type"),
}
"""The JSON Schema keywords that all providers accept."""
LONGEST_DESCRIPTION_CHARACTERS = 1024
"""OpenAI's limit on the description of a function."""
TEXT = "Ann's private words"

every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)


@pytest.fixture
def task_id(connection: Connection, use: Use, tool: Tool) -> int:
    """Return the id of Ann's task, in which every column has a value, such that `tool` has something to change.

    The creation of the task can be undone, and then that of another one.
    """
    record_turn(connection, use("create_task", title="Another"))
    created = use("create_task", title=TEXT, description=TEXT, priority="high", due_at="2026-01-01")
    record_turn(connection, created)
    if tool.name == "reopen_task":
        use("complete_task", task_id=result(created)["id"])
    return int(result(created)["id"])


def rows(connection: Connection) -> list[dict[str, Any]]:
    """Return Ann's tasks."""
    statement = select(TASKS).where(TASKS.c.user_id == ANN).order_by(TASKS.c.id)
    return [dict(row._mapping) for row in connection.execute(statement)]


def without_times(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in task.items() if name != "updated_at"} for task in tasks]


def test_a_tool_is_offered_under_its_own_name() -> None:
    assert all(name == each.name for name, each in TOOLS.items())


@every_tool
def test_the_schemas_are_made_once(tool: Tool) -> None:
    assert tool.input_schema is tool.input_schema
    assert tool.output_schema is tool.output_schema


@every_tool
def test_an_input_schema_is_plain_and_closed(tool: Tool) -> None:
    assert tool.input_schema["type"] == "object"
    assert tool.input_schema["additionalProperties"] is False
    assert keywords(tool.input_schema) <= KEYWORDS
    assert all(isinstance(each["type"], str) for each in tool.input_schema["properties"].values())


@every_tool
def test_exactly_the_arguments_without_default_are_required(tool: Tool) -> None:
    required = [name for name, field in tool.input.model_fields.items() if field.is_required()]
    assert list(tool.input_schema["properties"]) == list(tool.input.model_fields)
    assert tool.input_schema.get("required", []) == required


@every_tool
def test_the_person_is_never_an_argument(tool: Tool) -> None:
    assert "user" not in json.dumps(tool.input_schema)


@every_tool
def test_an_output_schema_is_an_object_with_required_keys(tool: Tool) -> None:
    assert tool.output_schema["type"] == "object"
    assert tool.output_schema["required"]


@every_tool
def test_a_tool_has_a_title_and_a_description(tool: Tool) -> None:
    assert tool.title
    assert tool.description.endswith(".")
    assert len(tool.description) <= LONGEST_DESCRIPTION_CHARACTERS


@every_tool
def test_a_result_fits_the_output_schema(use: Use, task_id: int, tool: Tool) -> None:
    answer = result(use(tool.name, **sample_arguments(tool, task_id)))
    assert answer.keys() == tool.output_schema["properties"].keys()


@every_tool
def test_a_read_only_tool_writes_nothing(connection: Connection, use: Use, task_id: int, tool: Tool) -> None:
    statements: list[str] = []
    event.listen(connection, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
    result(use(tool.name, **sample_arguments(tool, task_id)))
    writes = [each for each in statements if each.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert bool(writes) is not tool.annotations["readOnlyHint"]


@every_tool
def test_an_idempotent_tool_changes_nothing_twice(connection: Connection, use: Use, task_id: int, tool: Tool) -> None:
    arguments = sample_arguments(tool, task_id)
    use(tool.name, **arguments)
    once = rows(connection)
    use(tool.name, **arguments)
    assert (without_times(rows(connection)) == without_times(once)) is tool.annotations["idempotentHint"]


@every_tool
def test_only_a_destructive_tool_loses_words(connection: Connection, use: Use, task_id: int, tool: Tool) -> None:
    result(use(tool.name, **sample_arguments(tool, task_id)))
    words = [(task["title"], task["description"]) for task in rows(connection)]
    assert ((TEXT, TEXT) not in words) is tool.annotations["destructiveHint"]


@every_tool
def test_another_person_reaches_nothing(connection: Connection, use: Use, task_id: int, tool: Tool) -> None:
    before = rows(connection)
    recorded = use(tool.name, user=BOB, **sample_arguments(tool, task_id))
    assert rows(connection) == before
    assert TEXT not in json.dumps(recorded)


@every_tool
def test_a_foreign_id_is_as_unknown_as_a_missing_one(use: Use, task_id: int, tool: Tool) -> None:
    foreign = use(tool.name, user=BOB, **sample_arguments(tool, task_id))
    use("delete_task", task_id=task_id)
    missing = use(tool.name, user=BOB, **sample_arguments(tool, task_id))
    assert foreign.get("error") == missing.get("error")
    assert ("error" in foreign) is ("task_id" in tool.input_schema["properties"])


@every_tool
def test_a_record_holds_request_and_result(use: Use, task_id: int, tool: Tool) -> None:
    arguments = sample_arguments(tool, task_id)
    recorded = use(tool.name, **arguments)
    noted = [] if tool.annotations["readOnlyHint"] else ["before", "after"]
    assert list(recorded) == ["id", "tool", "arguments", "timestamp", "result", *noted]
    assert (recorded["id"], recorded["tool"], recorded["arguments"]) == ("call_1", tool.name, arguments)


def keywords(schema: dict[str, Any]) -> set[str]:
    """Return the JSON Schema keywords in use; the names of properties are no keywords."""
    below = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return set(schema).union(*(keywords(each) for each in below))
