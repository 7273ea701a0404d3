"""The replies of the offline model to results of tools."""

import pytest
from openai import OpenAI

from local.model.plans import MODEL_NAME
from tests.local.model.dialogue import OFFERED, Dialogue, calls

MEETING = {"id": 5, "title": "Prepare the meeting", "priority": "normal", "due_at": None, "completed": False}
OTHER = {"id": 9, "title": "Meeting with Ann", "priority": "high", "due_at": None, "completed": False}


def listing(*tasks: dict[str, object]) -> dict[str, object]:
    return {"tasks": list(tasks), "count": len(tasks), "more": False}


def test_it_confirms_number_priority_and_due_date(dialogue: Dialogue) -> None:
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


def test_it_asks_which_task_is_meant_and_takes_a_number(dialogue: Dialogue) -> None:
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


def test_a_second_wish_is_judged_without_earlier_results(dialogue: Dialogue) -> None:
    dialogue.say("What's pending?")
    dialogue.answer(listing(MEETING))
    assert calls(dialogue.say("What's pending?")) == [("list_tasks", {"status": "pending"})]


def test_without_tools_it_answers_in_words(dialogue: Dialogue) -> None:
    reply = dialogue.say("Add a task to sweep", tools=[])
    assert reply.tool_calls is None
    assert reply.content


def test_it_calls_no_tool_that_is_not_offered(dialogue: Dialogue) -> None:
    only_lists = [tool for tool in OFFERED if tool["function"]["name"] == "list_tasks"]
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


@pytest.mark.parametrize("line", ["", "Now: soon (Europe/Berlin)\n", "Now: 2025-12-07T10:30:00 (Nowhere/Land)\n"])
def test_a_missing_or_odd_clock_does_not_stop_it(dialogue: Dialogue, line: str) -> None:
    dialogue.messages.append({"role": "user", "content": f"{line}Remind me tomorrow to sweep"})
    ((name, arguments),) = calls(dialogue.ask())
    assert (name, arguments["title"]) == ("create_task", "Sweep")


def test_of_two_messages_in_one_the_last_is_answered(dialogue: Dialogue) -> None:
    text = "Now: 2025-12-06T10:30+01:00 (UTC)\n\nDelete task 1\n\nNow: 2025-12-07T10:30+01:00 (UTC)\n\nDelete task 2"
    dialogue.messages.append({"role": "user", "content": text})
    assert calls(dialogue.ask()) == [("delete_task", {"task_id": 2})]


TODAY = {**MEETING, "id": 1, "title": "Sweep", "due_at": "2025-12-07T18:00:00+01:00"}
LATER = {**MEETING, "id": 2, "title": "Pack", "due_at": "2025-12-20T18:00:00+01:00"}


def test_a_day_s_tasks_include_those_without_a_date(dialogue: Dialogue) -> None:
    pending = {"status": "pending", "limit": 100}
    assert calls(dialogue.say("What do I have to do today?")) == [("list_tasks", pending)]
    reply = dialogue.answer(listing(TODAY, LATER, MEETING)).content
    assert reply == (
        "Due today, or before:\n- task 1: Sweep, due today at 18:00 (Sunday 7 December)\n"
        "Without a date:\n- task 5: Prepare the meeting"
    )


def test_a_day_with_nothing_due_still_names_tasks_without_a_date(dialogue: Dialogue) -> None:
    dialogue.say("what do I have to do today?")
    reply = dialogue.answer(listing(LATER, MEETING)).content
    assert reply == "Nothing is due today.\nWithout a date:\n- task 5: Prepare the meeting"


def test_a_question_for_what_is_due_is_answered_for_that_alone(dialogue: Dialogue) -> None:
    dialogue.say("What is due today?")
    reply = dialogue.answer(listing()).content
    assert reply == "You have no pending tasks due before tomorrow at 00:00 (Monday 8 December)."


def test_mark_all_done_completes_what_is_pending(dialogue: Dialogue) -> None:
    pending = {"status": "pending", "limit": 100}
    assert calls(dialogue.say("mark all done")) == [("list_tasks", pending)]
    made = calls(dialogue.answer(listing(MEETING, OTHER)))
    assert made == [("complete_task", {"task_id": 5}), ("complete_task", {"task_id": 9})]
    reply = dialogue.answer({"id": 5, "title": "A"}, {"id": 9, "title": "B"}).content
    assert reply == 'Marked task 5, "A", as complete. Well done!\nMarked task 9, "B", as complete. Well done!'


def test_of_many_tasks_the_first_twenty_are_completed(dialogue: Dialogue) -> None:
    dialogue.say("Mark everything as done")
    made = calls(dialogue.answer(listing(*[{**MEETING, "id": number} for number in range(1, 31)])))
    assert len(made) == 20
    reply = dialogue.answer(*[{"id": number, "title": "A"} for number in range(1, 21)]).content or ""
    assert reply.endswith("There are more. Say it again for the next 20.")


def test_delete_everything_says_what_would_go_and_what_to_type(dialogue: Dialogue) -> None:
    assert calls(dialogue.say("delete everything")) == [("list_tasks", {"status": "all", "limit": 100})]
    reply = dialogue.answer(listing(MEETING, OTHER)).content or ""
    assert reply.startswith("Nothing is deleted yet.")
    typed = reply.rpartition("To delete them, type: ")[2]
    assert calls(dialogue.say(typed)) == [("delete_task", {"task_id": 5}), ("delete_task", {"task_id": 9})]


def test_delete_everything_of_nothing_says_so(dialogue: Dialogue) -> None:
    dialogue.say("delete all my tasks")
    assert dialogue.answer(listing()).content == "You have no tasks."


WITHOUT_UNDO = [tool for tool in OFFERED if tool["function"]["name"] != "undo_last_change"]


@pytest.mark.parametrize(
    ("change", "result", "typed"),
    [
        ("Add a task to sweep", {"id": 7, "title": "Sweep", "created": True}, [("delete_task", {"task_id": 7})]),
        ("Mark task 7 as done", {"id": 7, "title": "Sweep"}, [("reopen_task", {"task_id": 7})]),
        ("Reopen task 7", {"id": 7, "title": "Sweep"}, [("complete_task", {"task_id": 7})]),
        ("Delete task 7", {"id": 7, "title": "Sweep", "deleted": True}, [("create_task", {"title": "Sweep"})]),
    ],
)
def test_undo_says_what_to_type(dialogue: Dialogue, change: str, result: dict[str, object], typed: object) -> None:
    dialogue.say(change)
    dialogue.answer(result)
    reply = dialogue.say("Undo that", tools=WITHOUT_UNDO).content or ""
    assert calls(dialogue.say(reply.rpartition("type: ")[2])) == typed


def test_undo_without_a_change_says_so(dialogue: Dialogue) -> None:
    assert "nothing to take back" in (dialogue.say("undo that", tools=WITHOUT_UNDO).content or "")


def test_undo_uses_the_tool_if_there_is_one(dialogue: Dialogue) -> None:
    assert calls(dialogue.say("undo that")) == [("undo_last_change", {})]


def test_the_list_of_models_names_it(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL_NAME]
