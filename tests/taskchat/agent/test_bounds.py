"""The input of one turn is bounded, and the model is told about omissions."""

import json
from typing import Any

from taskchat.agent import bounds
from taskchat.agent.transcript import AssistantMessage, Message, ToolUse, UserMessage

TASK = {"id": 7, "title": "Buy milk", "priority": "high", "due_at": None, "completed": False}


def listed(count: int, title: str = "Buy milk") -> dict[str, Any]:
    return {"tasks": [{**TASK, "id": number, "title": title} for number in range(count)], "count": count}


def step(number: int, results: list[dict[str, Any]]) -> AssistantMessage:
    uses = tuple(ToolUse(f"c{place}", "list_tasks", "{}", json.dumps(result)) for place, result in enumerate(results))
    return AssistantMessage("", uses, step=number)


def test_thirty_two_lists_a_step_stay_within_the_bounds() -> None:
    messages: list[Message] = [UserMessage("Hi")]
    messages += [step(number, [listed(100, "x" * 200)] * 32) for number in range(8)]
    sent = bounds.bounded(messages)
    newest, earlier = bounds.size_bytes(sent[-1:]), bounds.size_bytes(sent[1:-1])
    assert newest <= bounds.STEP_BYTES
    assert earlier <= 7 * bounds.EARLIER_STEP_BYTES * 1.2
    assert sent[0] == messages[0]


def test_small_results_stay_whole_beside_a_large_one() -> None:
    (bounded,) = bounds.bounded([step(0, [listed(2), listed(2_000), listed(2)])])
    assert isinstance(bounded, AssistantMessage)
    small, large, other = (json.loads(use.result) for use in bounded.uses)
    assert (small, other) == (listed(2), listed(2))
    assert len(large["tasks"]) > 100


def test_steps_of_earlier_turns_are_left_to_the_window() -> None:
    message = AssistantMessage("", (ToolUse("c", "list_tasks", "{}", json.dumps(listed(2_000))),))
    assert bounds.bounded([message]) == [message]


def test_long_arguments_are_shortened_and_stay_an_object() -> None:
    use = ToolUse("c", "create_task", json.dumps({"title": "x" * 49_000}), "{}")
    (bounded,) = bounds.bounded([AssistantMessage("", (use,), step=0)])
    assert isinstance(bounded, AssistantMessage)
    assert len(json.loads(bounded.uses[0].arguments)["title"]) <= 400
