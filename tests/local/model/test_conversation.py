"""What the offline model does with what the tools answer."""

import pytest
from openai import OpenAI

from local.model.server import MODEL_NAME
from taskchat.tools import function_schemas
from tests.local.model.dialogue import Dialogue, calls

MEETING = {"id": 5, "title": "Prepare the meeting", "priority": "normal", "due_at": None, "completed": False}
OTHER = {"id": 9, "title": "Meeting with Ann", "priority": "high", "due_at": None, "completed": False}


def listing(*tasks: dict[str, object]) -> dict[str, object]:
    return {"tasks": list(tasks), "count": len(tasks), "more": False}


def test_it_confirms_what_it_added_with_number_priority_and_due_date(dialogue: Dialogue) -> None:
    dialogue.say("Add a high priority task to buy groceries tomorrow at 5pm")
    reply = dialogue.answer(
        {
            "id": 7,
            "title": "Buy groceries",
            "created": True,
            "priority": "high",
            "due_at": "2025-12-08T16:00:00Z",
            "unheard_of": [],
        }
    )
    assert reply.content == (
        'Added "Buy groceries" as task 7, high priority, due tomorrow at 17:00 (Monday 8 December).'
    )


def test_it_acts_on_the_one_task_that_matches_and_names_it(dialogue: Dialogue) -> None:
    dialogue.say("Delete the meeting task")
    assert calls(dialogue.answer(listing(MEETING))) == [("delete_task", {"task_id": 5})]
    reply = dialogue.answer({"id": 5, "title": "Prepare the meeting", "deleted": True})
    assert reply.content == 'Deleted task 5, "Prepare the meeting".'


def test_it_says_plainly_that_nothing_matches(dialogue: Dialogue) -> None:
    dialogue.say("Delete the meeting task")
    assert dialogue.answer(listing()).content == 'I could not find a task that matches "meeting".'


def test_it_asks_which_of_several_tasks_is_meant_and_takes_the_number_for_an_answer(dialogue: Dialogue) -> None:
    dialogue.say("Rename the meeting task to 'Tea'")
    question = dialogue.answer(listing(MEETING, OTHER)).content or ""
    assert "task 5: Prepare the meeting" in question
    assert "task 9: Meeting with Ann" in question
    assert question.endswith("Which one do you mean? Tell me its number.")
    assert calls(dialogue.say("9")) == [("update_task", {"task_id": 9, "title": "Tea"})]


def test_a_title_that_matches_to_the_letter_wins(dialogue: Dialogue) -> None:
    dialogue.say("Delete the meeting task")
    reply = dialogue.answer(listing(MEETING, {**OTHER, "title": "Meeting"}))
    assert calls(reply) == [("delete_task", {"task_id": 9})]


def test_it_means_the_task_that_was_mentioned_last(dialogue: Dialogue) -> None:
    dialogue.say("Add a task to stretch")
    dialogue.answer({"id": 12, "title": "Stretch", "created": True})
    assert calls(dialogue.say("Mark it as done")) == [("complete_task", {"task_id": 12})]


def test_it_asks_when_nothing_was_mentioned(dialogue: Dialogue) -> None:
    assert (dialogue.say("Delete it").content or "").startswith("Which task do you mean?")


def test_a_task_that_does_not_exist_is_named(dialogue: Dialogue) -> None:
    dialogue.say("Mark tasks 3 and 4 as complete")
    reply = dialogue.answer(
        {"error": {"code": "not-found", "message": "No such task."}},
        {"id": 4, "title": "Sweep", "completed": True, "already_completed": False},
    )
    assert reply.content == 'I could not find a task 3.\nMarked task 4, "Sweep", as complete. Well done!'


def test_another_error_is_passed_on_in_words(dialogue: Dialogue) -> None:
    dialogue.say("Add a task to sweep")
    reply = dialogue.answer({"error": {"code": "invalid-arguments", "message": "title: too long."}})
    assert reply.content == "That did not work: title: too long."


def test_a_list_shows_every_task_in_a_line(dialogue: Dialogue) -> None:
    dialogue.say("Show me all my tasks")
    reply = dialogue.answer(listing(MEETING, {**OTHER, "completed": True, "due_at": "2025-12-07T23:59:00+01:00"}))
    assert reply.content == (
        "You have 2 tasks:\n- task 5: Prepare the meeting\n"
        "- task 9: Meeting with Ann, high priority, due today (Sunday 7 December) ✓"
    )


def test_an_empty_list_is_said_in_words(dialogue: Dialogue) -> None:
    dialogue.say("What's pending?")
    assert dialogue.answer(listing()).content == "You have no pending tasks."


def test_a_second_wish_is_judged_by_itself_and_not_by_earlier_results(dialogue: Dialogue) -> None:
    dialogue.say("What's pending?")
    dialogue.answer(listing(MEETING))
    assert calls(dialogue.say("What's pending?")) == [("list_tasks", {"status": "pending"})]


def test_without_tools_it_answers_in_words(dialogue: Dialogue) -> None:
    reply = dialogue.say("Add a task to sweep", tools=[])
    assert reply.tool_calls is None
    assert reply.content


def test_it_calls_no_tool_that_is_not_offered(dialogue: Dialogue) -> None:
    only_lists = [tool for tool in function_schemas() if tool["function"]["name"] == "list_tasks"]
    assert dialogue.say("Add a task to sweep", tools=only_lists).tool_calls is None
    assert calls(dialogue.say("Show my tasks", tools=only_lists)) == [("list_tasks", {"status": "all"})]


def test_the_same_request_gets_the_same_answer(client: OpenAI) -> None:
    first, second = (Dialogue(client).say("Add a task to sweep") for _ in range(2))
    assert first == second


def test_calls_of_one_conversation_have_ids_of_their_own(dialogue: Dialogue) -> None:
    first = dialogue.say("Delete tasks 1 and 2").tool_calls or []
    dialogue.answer({"id": 1}, {"id": 2})
    second = dialogue.say("Delete tasks 1 and 2").tool_calls or []
    assert len({call.id for call in [*first, *second]}) == 4


@pytest.mark.parametrize("system", ["", "Now: soon (Europe/Berlin)", "Now: 2025-12-07T10:30:00 (Nowhere/Land)"])
def test_a_missing_or_odd_clock_does_not_stop_it(dialogue: Dialogue, system: str) -> None:
    dialogue.messages[0]["content"] = system
    ((name, arguments),) = calls(dialogue.say("Remind me tomorrow to sweep"))
    assert (name, arguments["title"]) == ("create_task", "Sweep")


def test_the_list_of_models_names_it(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL_NAME]
