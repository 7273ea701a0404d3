"""Mistakes of models in arguments, and the answers to them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from taskchat.toolkit import ToolCall
from taskchat.tools import TOOLS
from tests.support.tool_calls import Use

Ask = Callable[[str, str], ToolCall]


@pytest.fixture
def ask(use: Use) -> Ask:
    """Return a function that calls a tool with arguments as text."""
    return lambda tool, written: use(tool, written=written)


def deep(levels: int) -> str:
    return '{"title": ' + "[" * levels + "]" * levels + "}"


OBJECT = 'The arguments must be one JSON object, as in {"task_id": 7}.'
NUMBER = "The arguments hold a number that is too large or not finite."

UNREADABLE = {
    "no JSON": ("buy milk", "The arguments are not valid JSON: Expecting value at character 0."),
    "cut off": ('{"title": "x', "The arguments are not valid JSON: Unterminated string starting at at character 10."),
    "two objects": ('{"title": "x"}{}', "The arguments are not valid JSON: Extra data at character 14."),
    "a raw newline": (
        '{"title": "a\nb"}',
        "The arguments are not valid JSON: Invalid control character at at character 12.",
    ),
    "a list": ('["x"]', OBJECT),
    "a text": ('"x"', OBJECT),
    "a number": ("7", OBJECT),
    "false": ("false", OBJECT),
    "NaN": ('{"title": NaN}', NUMBER),
    "Infinity": ('{"title": -Infinity}', NUMBER),
    "a float beyond all floats": (
        '{"title": 1e999}',
        NUMBER,
    ),
    "an integer of 5000 digits": (
        '{"title": ' + "9" * 5000 + "}",
        NUMBER,
    ),
    "17 levels": (deep(17), "The arguments are nested too deeply."),
    "20000 levels": (deep(20_000), "The arguments are nested too deeply."),
    "100000 characters": (json.dumps({"title": "x" * 100_000}), "The arguments are longer than 50000 characters."),
    "an object that never ends": ('{"title":' * 9_000, "The arguments are longer than 50000 characters."),
}


@pytest.mark.parametrize(("written", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_unreadable_arguments_are_recorded_in_part(ask: Ask, written: str, message: str) -> None:
    recorded = ask("create_task", written)
    assert recorded["arguments"] == {}
    assert recorded["error"] == {"code": "invalid-arguments", "message": message, "received": written[:200]}


def test_the_recorded_part_of_arguments_can_be_stored(ask: Ask) -> None:
    assert ask("create_task", "\x00\ud800" + "x" * 300)["error"]["received"] == "\ufffd\ufffd" + "x" * 198


@pytest.mark.parametrize("written", ["", "  \n", "null", "{}", ' {"status": null, "text": "  ", "limit": ""} '])
def test_optional_arguments_may_all_be_missing(use: Use, written: str) -> None:
    assert use("list_tasks", written=written)["result"] == {"tasks": [], "count": 0, "more": False, "next_cursor": None}


@pytest.mark.parametrize("name", ["", "createTask", "create_task ", "__class__", "tool\x00\ud800", "x" * 1000])
def test_an_unknown_tool_is_answered_with_the_known_ones(ask: Ask, name: str) -> None:
    recorded = ask(name, '{"title": "x"}')
    assert recorded["arguments"] == {"title": "x"}
    assert recorded["error"] == {
        "code": "unknown-tool",
        "message": f"There is no tool of this name; the tools are {', '.join(TOOLS)}.",
    }


TASK = {"task_id": 1}
TITLE = {"title": "x"}
REQUIRED = "This is required and must not be empty."
DATE = "Give an ISO 8601 date or date-time, as in 2026-03-31 or 2026-03-31T17:30:00."
YEAR = "Give a year from 1970 to 9998."
INTEGER = "Input should be a valid integer."
LARGEST = 2**63 - 1

MISTAKES: list[tuple[str, dict[str, Any], str]] = [
    ("create_task", {}, f"title: {REQUIRED}"),
    ("create_task", {"title": ""}, f"title: {REQUIRED}"),
    ("create_task", {"title": " \n\t "}, f"title: {REQUIRED}"),
    ("create_task", {"title": None}, f"title: {REQUIRED}"),
    ("create_task", {"title": 7}, "title: Input should be a valid string."),
    ("create_task", {"title": "x" * 201}, "title: String should have at most 200 characters."),
    ("create_task", {**TITLE, "description": "x" * 4001}, "description: String should have at most 4000 characters."),
    ("create_task", {**TITLE, "description": ["x"]}, "description: Input should be a valid string."),
    ("create_task", {**TITLE, "priority": "medium"}, "priority: Input should be 'low', 'normal', 'high' or 'urgent'."),
    ("create_task", {**TITLE, "priority": 1}, "priority: Input should be 'low', 'normal', 'high' or 'urgent'."),
    ("create_task", {**TITLE, "due_at": "tomorrow"}, f"due_at: {DATE}"),
    ("create_task", {**TITLE, "due_at": "2026-02-30"}, f"due_at: {DATE}"),
    ("create_task", {**TITLE, "due_at": "2026-03-31T25:00"}, f"due_at: {DATE}"),
    ("create_task", {**TITLE, "due_at": "10000-01-01"}, f"due_at: {DATE}"),
    ("create_task", {**TITLE, "due_at": 1774963800}, f"due_at: {DATE}"),
    ("create_task", {**TITLE, "due_at": True}, f"due_at: {DATE}"),
    ("create_task", {**TITLE, "due_at": {}}, f"due_at: {DATE}"),
    ("create_task", {**TITLE, "due_at": "0001-01-01"}, f"due_at: {YEAR}"),
    ("create_task", {**TITLE, "due_at": "0001-01-01T00:00:00+14:00"}, f"due_at: {YEAR}"),
    ("create_task", {**TITLE, "due_at": "9999-12-31T23:59:59-12:00"}, f"due_at: {YEAR}"),
    ("create_task", {**TITLE, "due_at": "9999-12-31"}, f"due_at: {YEAR}"),
    (
        "create_task",
        {**TITLE, "user_id": 7},
        "user_id: There is no such argument; the arguments are title, description, priority, due_at.",
    ),
    ("list_tasks", {"status": "done"}, "status: Input should be 'all', 'pending' or 'completed'."),
    ("list_tasks", {"limit": 0}, "limit: Input should be greater than or equal to 1."),
    ("list_tasks", {"limit": 101}, "limit: Input should be less than or equal to 100."),
    ("list_tasks", {"limit": True}, f"limit: {INTEGER}"),
    ("list_tasks", {"due_before": "soon"}, f"due_before: {DATE}"),
    ("list_tasks", {"text": "x" * 201}, "text: String should have at most 200 characters."),
    ("get_task", {}, f"task_id: {REQUIRED}"),
    ("get_task", {"task_id": ""}, f"task_id: {REQUIRED}"),
    ("get_task", {"task_id": True}, f"task_id: {INTEGER}"),
    ("get_task", {"task_id": 1.5}, f"task_id: {INTEGER}"),
    ("get_task", {"task_id": "one"}, f"task_id: {INTEGER}"),
    ("get_task", {"task_id": "1.0"}, f"task_id: {INTEGER}"),
    ("get_task", {"task_id": "-1"}, f"task_id: {INTEGER}"),
    ("get_task", {"task_id": "\u0661"}, f"task_id: {INTEGER}"),
    ("get_task", {"task_id": [1]}, f"task_id: {INTEGER}"),
    ("get_task", {"task_id": 0}, "task_id: Input should be greater than or equal to 1."),
    ("get_task", {"task_id": -1}, "task_id: Input should be greater than or equal to 1."),
    ("get_task", {"task_id": LARGEST + 1}, f"task_id: Input should be less than or equal to {LARGEST}."),
    ("get_task", {"task_id": str(LARGEST + 1)}, f"task_id: Input should be less than or equal to {LARGEST}."),
    ("get_task", {"task_id": 10**400}, f"task_id: Input should be less than or equal to {LARGEST}."),
    ("get_task", {"task_id": 1e300}, f"task_id: Input should be less than or equal to {LARGEST}."),
    ("get_task", {"id": 1}, f"task_id: {REQUIRED} id: There is no such argument; the arguments are task_id."),
    ("update_task", TITLE, f"task_id: {REQUIRED}"),
    ("update_task", TASK, "Give at least one of title, description, priority, due_at and clear."),
    ("update_task", {**TASK, "title": " "}, "Give at least one of title, description, priority, due_at and clear."),
    ("update_task", {**TASK, "clear": ["title"]}, "clear.0: Input should be 'description' or 'due_at'."),
    ("update_task", {**TASK, "clear": {}}, "clear: Input should be a valid list."),
    (
        "update_task",
        {**TASK, "due_at": "2026-03-31", "clear": ["due_at"]},
        "Give a new value for a field or name it in clear, not both.",
    ),
    (
        "update_task",
        {"task_id": None, "title": 1, "priority": "?"},
        f"task_id: {REQUIRED} title: Input should be a valid string. "
        "priority: Input should be 'low', 'normal', 'high' or 'urgent'.",
    ),
    ("complete_task", {}, f"task_id: {REQUIRED}"),
    ("reopen_task", {}, f"task_id: {REQUIRED}"),
    ("delete_task", {}, f"task_id: {REQUIRED}"),
]


@pytest.mark.parametrize(("tool", "arguments", "correction"), MISTAKES)
def test_a_mistake_is_answered_with_its_correction(
    ask: Ask, tool: str, arguments: dict[str, Any], correction: str
) -> None:
    recorded = ask(tool, json.dumps(arguments))
    assert recorded["arguments"] == arguments
    assert recorded["error"] == {
        "code": "invalid-arguments",
        "message": f"{tool} cannot take these arguments. {correction}",
    }


def test_of_a_hundred_mistakes_eight_are_reported(ask: Ask) -> None:
    message = ask("list_tasks", json.dumps({f"{number}{'x' * 300}": 1 for number in range(100)}))["error"]["message"]
    assert message.count("There is no such argument") == 8
    assert len(message) < 2000


@pytest.mark.parametrize("form", ["{}", '"{}"', '" {} "', "{}.0", "{}e0", '"000{}"'])
def test_an_id_may_be_written_in_many_forms(use: Use, form: str) -> None:
    created = use("create_task", title="x")["result"]
    written = form.format(created["id"])
    assert use("get_task", written=f'{{"task_id": {written}}}')["result"]["id"] == created["id"]


def test_the_largest_id_is_not_found(use: Use) -> None:
    assert use("get_task", task_id=LARGEST)["error"]["code"] == "not-found"


def test_the_longest_text_fits_after_trimming(use: Use) -> None:
    created = use("create_task", title=f"  {'ü' * 200}\n", description=f"\t{'☃' * 4000} ")
    task = use("get_task", task_id=created["result"]["id"])["result"]
    assert (task["title"], task["description"]) == ("ü" * 200, "☃" * 4000)


@pytest.mark.parametrize("nothing", [None, "", "   "])
@pytest.mark.parametrize("argument", ["description", "priority", "due_at"])
def test_an_empty_argument_counts_as_left_out(use: Use, argument: str, nothing: str | None) -> None:
    created = use("create_task", title="x", **{argument: nothing})
    task = use("get_task", task_id=created["result"]["id"])["result"]
    assert (task["description"], task["priority"], task["due_at"]) == (None, "normal", None)
