"""Sentences of people, and the tools that the offline model calls for them."""

from typing import Any

import pytest

from local.model.clock import read_clock
from local.model.intents import INTENTS, understand
from local.model.phrases import plain
from tests.local.model.dialogue import NOW, Dialogue, calls

CLOCK = read_clock(f"Now: {NOW}")
TOMORROW = "2025-12-08T23:59:00+01:00"
FRIDAY = "2025-12-12T23:59:00+01:00"

LISTS: list[tuple[str, dict[str, Any]]] = [
    ("Show me all my tasks", {"status": "all"}),
    ("list my tasks", {"status": "all"}),
    ("tasks", {"status": "all"}),
    ("What are my tasks?", {"status": "all"}),
    ("What's pending?", {"status": "pending"}),
    ("What do I need to do?", {"status": "pending"}),
    ("What's left?", {"status": "pending"}),
    ("Could you show me my pending tasks, please?", {"status": "pending"}),
    ("What have I completed?", {"status": "completed"}),
    ("Show completed tasks", {"status": "completed"}),
    ("Show my high priority tasks", {"status": "all", "priority": "high"}),
    ("What is due today?", {"status": "pending", "due_before": "2025-12-08T00:00:00+01:00"}),
    ("What's due this week?", {"status": "pending", "due_before": "2025-12-08T00:00:00+01:00"}),
    ("Show tasks for next week", {"status": "pending", "due_before": "2025-12-15T00:00:00+01:00"}),
    ("Is anything overdue?", {"status": "pending", "due_before": "2025-12-07T10:30:00+01:00"}),
    ("find dentist", {"status": "all", "text": "dentist"}),
    ("show my tasks about milk", {"status": "all", "text": "milk"}),
]

NEW_TASKS: list[tuple[str, dict[str, Any]]] = [
    ("Add a task to buy groceries", {"title": "Buy groceries"}),
    ("I need to remember to pay bills", {"title": "Pay bills"}),
    ("Hi, can you please create a new task: water the plants?", {"title": "Water the plants"}),
    ("add buy milk to my list", {"title": "Buy milk"}),
    ("Remind me to call the dentist tomorrow", {"title": "Call the dentist", "due_at": TOMORROW}),
    ("remind me tomorrow to call mom", {"title": "Call mom", "due_at": TOMORROW}),
    ("Add a task to call mom tomorrow at 5pm", {"title": "Call mom", "due_at": "2025-12-08T17:00:00+01:00"}),
    ("Add a task to call mom at 17:30 tomorrow", {"title": "Call mom", "due_at": "2025-12-08T17:30:00+01:00"}),
    ("I have to sweep today", {"title": "Sweep", "due_at": "2025-12-07T23:59:00+01:00"}),
    ("todo: sweep on friday", {"title": "Sweep", "due_at": FRIDAY}),
    ("todo: sweep next friday", {"title": "Sweep", "due_at": FRIDAY}),
    ("remind me in 2 hours to stretch", {"title": "Stretch", "due_at": "2025-12-07T12:30:00+01:00"}),
    ("remind me at 9am to stretch", {"title": "Stretch", "due_at": "2025-12-08T09:00:00+01:00"}),
    ("I must pack by 2026-07-01", {"title": "Pack", "due_at": "2026-07-01T23:59:00+02:00"}),
    ("I must pack by january 5th", {"title": "Pack", "due_at": "2026-01-05T23:59:00+01:00"}),
    ("Add a task to meet Ann on 31 february", {"title": "Meet Ann on 31 february"}),
    ("urgent: call bank", {"title": "Call bank", "priority": "urgent"}),
    ("Add a high priority task to file taxes", {"title": "File taxes", "priority": "high"}),
    ("I need to pay rent, high priority", {"title": "Pay rent", "priority": "high"}),
    (
        "Add a task to pay rent tomorrow with low priority",
        {"title": "Pay rent", "priority": "low", "due_at": TOMORROW},
    ),
    (
        "Add a task to pay rent with low priority tomorrow",
        {"title": "Pay rent", "priority": "low", "due_at": TOMORROW},
    ),
    ("Create a task called 'Call mom tonight'", {"title": "Call mom tonight"}),
    ("Create a task “Call mom tonight” due tomorrow", {"title": "Call mom tonight", "due_at": TOMORROW}),
    ("Add a task to mark task 3 as complete", {"title": "Mark task 3 as complete"}),
    ("add a task to Ünal's café ☕ besuchen", {"title": "Ünal's café ☕ besuchen"}),
]

ON_NUMBERS: list[tuple[str, str, list[dict[str, Any]]]] = [
    ("Mark task 3 as complete", "complete_task", [{"task_id": 3}]),
    ("mark 3 done", "complete_task", [{"task_id": 3}]),
    ("Task 3 is done!", "complete_task", [{"task_id": 3}]),
    ("I'm done with task 3", "complete_task", [{"task_id": 3}]),
    ("mark tasks 3, 4 and #5 as done", "complete_task", [{"task_id": 3}, {"task_id": 4}, {"task_id": 5}]),
    ("Reopen task 3", "reopen_task", [{"task_id": 3}]),
    ("mark task 3 as not done", "reopen_task", [{"task_id": 3}]),
    ("delete task 3", "delete_task", [{"task_id": 3}]),
    ("please remove #3 from my list", "delete_task", [{"task_id": 3}]),
    ("show task 3", "get_task", [{"task_id": 3}]),
    ("Change task 1 to 'Call mom tonight'", "update_task", [{"task_id": 1, "title": "Call mom tonight"}]),
    ("rename task 1 to call mom tonight", "update_task", [{"task_id": 1, "title": "Call mom tonight"}]),
    ("change the priority of task 1 to high", "update_task", [{"task_id": 1, "priority": "high"}]),
    ("make task 1 urgent", "update_task", [{"task_id": 1, "priority": "urgent"}]),
    ("move task 1 to friday", "update_task", [{"task_id": 1, "due_at": FRIDAY}]),
    ("task 1 is due tomorrow", "update_task", [{"task_id": 1, "due_at": TOMORROW}]),
    ("add a note to task 1: bring cake", "update_task", [{"task_id": 1, "description": "Bring cake"}]),
]

ON_WORDS = [
    ("Delete the meeting task", "meeting", "all"),
    ("Mark the meeting task as done", "meeting", "pending"),
    ("Reopen the task about the meeting", "the meeting", "completed"),
    ("Change the meeting task to 'Team meeting'", "meeting", "all"),
]


@pytest.mark.parametrize(("message", "arguments"), LISTS)
def test_a_question_about_tasks_lists_them(dialogue: Dialogue, message: str, arguments: dict[str, Any]) -> None:
    assert calls(dialogue.say(message)) == [("list_tasks", arguments)]


@pytest.mark.parametrize(("message", "arguments"), NEW_TASKS)
def test_something_to_remember_becomes_a_task(dialogue: Dialogue, message: str, arguments: dict[str, Any]) -> None:
    assert calls(dialogue.say(message)) == [("create_task", arguments)]


@pytest.mark.parametrize(("message", "tool", "arguments"), ON_NUMBERS)
def test_a_task_named_by_its_number_is_acted_on_at_once(
    dialogue: Dialogue, message: str, tool: str, arguments: list[dict[str, Any]]
) -> None:
    assert calls(dialogue.say(message)) == [(tool, each) for each in arguments]


@pytest.mark.parametrize(("message", "text", "status"), ON_WORDS)
def test_a_task_named_by_words_is_searched_first(dialogue: Dialogue, message: str, text: str, status: str) -> None:
    assert calls(dialogue.say(message)) == [("list_tasks", {"status": status, "text": text})]


@pytest.mark.parametrize(
    ("message", "titles"),
    [
        ("add milk, bread and call mom", ["Milk", "Bread", "Call mom"]),
        ("add milk, bread to my list", ["Milk", "Bread"]),
        ("add salt and pepper", ["Salt and pepper"]),
        ("add pay rent, high priority", ["Pay rent"]),
        ("add call mom, tomorrow", ["Call mom"]),
        ("add 'milk, bread'", ["milk, bread"]),
        ("Add a task: milk, bread and eggs", ["Milk, bread and eggs"]),
    ],
)
def test_a_list_with_commas_becomes_a_task_each(dialogue: Dialogue, message: str, titles: list[str]) -> None:
    assert [arguments["title"] for _name, arguments in calls(dialogue.say(message))] == titles


def test_an_enumeration_becomes_several_tasks_in_one_message(dialogue: Dialogue) -> None:
    made = calls(dialogue.say("Add three tasks: milk, bread and call mom tomorrow"))
    assert made == [
        ("create_task", {"title": "Milk"}),
        ("create_task", {"title": "Bread"}),
        ("create_task", {"title": "Call mom", "due_at": TOMORROW}),
    ]


@pytest.mark.parametrize("message", ["hi", "Hello there!", "thanks", "help", "What can you do?", "Add a task"])
def test_small_talk_and_half_sentences_are_answered_in_words(dialogue: Dialogue, message: str) -> None:
    reply = dialogue.say(message)
    assert reply.content
    assert reply.tool_calls is None


def test_more_at_once_than_the_agent_runs_is_declined(dialogue: Dialogue) -> None:
    numbers = ", ".join(str(number) for number in range(1, 30))
    assert "up to 20" in (dialogue.say(f"delete tasks {numbers}").content or "")


@pytest.mark.parametrize("message", ["What's the weather like?", "Write me a poem about the sea"])
def test_it_says_what_it_is_and_how_to_get_a_real_model(dialogue: Dialogue, message: str) -> None:
    reply = dialogue.say(message).content or ""
    assert "offline model" in reply
    assert "Add a task to buy groceries" in reply
    assert "OPENAI_API_KEY" in reply
    assert "OPENAI_BASE_URL" in reply


@pytest.mark.parametrize("example", [example for intent in INTENTS for example in intent.examples])
def test_every_example_is_understood_by_its_own_row(example: str) -> None:
    (own_row,) = (intent for intent in INTENTS if example in intent.examples)
    found = own_row.pattern.fullmatch(plain(example))
    assert found
    assert own_row.planner(found, CLOCK) == understand(example, CLOCK)


@pytest.mark.parametrize(
    "repeated",
    ["a ", "add ", "change to ", "all my ", "mark x as ", "3, ", "task 3 and ", "at 5pm on ", "high priority ", "hi "],
)
def test_a_long_message_of_confusing_words_gets_an_answer(repeated: str) -> None:
    # An ambiguous pattern would need longer than the universe has existed.
    understand(repeated * (8_000 // len(repeated)) + "x", CLOCK)
