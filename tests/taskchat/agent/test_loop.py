"""The loop between model and tools: when it ends, and what it may send."""

import json

import pytest

from taskchat.agent import bounds
from taskchat.agent.loop import MAXIMUM_MODEL_CALLS
from taskchat.errors import ModelFailedError, TurnInterruptedError
from tests.support.agent_turns import Conversation, ProcessDiedError
from tests.support.scripted_model import ScriptedModel, ToolCall, calls, says
from tests.taskchat.agent.conftest import Connect

LIST: ToolCall = ("list_tasks", {})
HUNDRED_TASKS = {
    "tasks": [
        {"id": number, "title": f"Task {number} " * 15, "priority": "high", "due_at": None, "completed": False}
        for number in range(100)
    ],
    "count": 100,
}


def sizes(scripted_model: ScriptedModel) -> list[int]:
    return [len(json.dumps(request.body, ensure_ascii=False).encode()) for request in scripted_model.requests]


def test_a_model_that_never_stops_is_asked_for_its_answer(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[calls(LIST)] * MAXIMUM_MODEL_CALLS, says("Enough."))
    assert Conversation().say(connect(), "Go on").content == "Enough."
    assert [bool(request.tool_names) for request in scripted_model.requests] == [True] * 8 + [False]


def test_calls_of_an_answer_without_tools_are_not_run(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(*[calls(LIST)] * MAXIMUM_MODEL_CALLS, *[calls(LIST)] * 2)
    with pytest.raises(ModelFailedError, match="its answer is empty"):
        Conversation().say(connect(), "Go on")


def test_a_turn_that_lists_everything_again_and_again_is_bounded(
    connect: Connect, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(*[calls(*[LIST] * 32)] * MAXIMUM_MODEL_CALLS, says("Enough."))
    conversation = Conversation(result=HUNDRED_TASKS)
    conversation.say(connect(), "Go on")
    assert max(sizes(scripted_model)) < 150_000
    assert sum(sizes(scripted_model)) < 1_000_000
    # The audit trail keeps the whole results.
    assert conversation.history[1].tool_calls is not None
    assert conversation.history[1].tool_calls[31]["result"] == HUNDRED_TASKS


def test_a_turn_that_has_sent_enough_is_asked_for_its_answer(
    connect: Connect, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "TURN_INPUT_BYTES", 5_000)
    scripted_model.script(calls(LIST), calls(LIST), says("Enough."))
    conversation = Conversation(result=HUNDRED_TASKS)
    assert conversation.say(connect(), "Go on").content == "Enough."
    assert [bool(request.tool_names) for request in scripted_model.requests] == [True, True, False]


def test_one_list_of_a_hundred_tasks_is_sent_whole(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(LIST), says("Here."))
    Conversation(result=HUNDRED_TASKS).say(connect(), "List all")
    assert json.loads(scripted_model.requests[-1].messages[-1]["content"]) == HUNDRED_TASKS


def test_a_takeover_counts_what_was_sent_before(
    connect: Connect, scripted_model: ScriptedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "TURN_INPUT_BYTES", 5_000)
    scripted_model.script(*[calls(LIST)] * 3)
    conversation = Conversation(result=HUNDRED_TASKS)
    with pytest.raises(ProcessDiedError):
        conversation.say(connect(), "Go on", dies_after=1)
    scripted_model.replace_script(calls(LIST), says("Enough."))
    scripted_model.requests.clear()
    assert conversation.say(connect(), "Go on").content == "Enough."
    assert [bool(request.tool_names) for request in scripted_model.requests] == [True, False]


def test_a_turn_without_time_stops_between_steps(connect: Connect, scripted_model: ScriptedModel) -> None:
    with pytest.raises(TurnInterruptedError):
        Conversation().say(connect(), "Go on", seconds=2.9)
    assert scripted_model.requests == []


def test_the_output_of_every_call_is_limited(connect: Connect, scripted_model: ScriptedModel) -> None:
    scripted_model.script(calls(LIST), says("Enough."))
    Conversation().say(connect(max_output_tokens=300), "Go on")
    assert [request.body["max_tokens"] for request in scripted_model.requests] == [300, 300]
