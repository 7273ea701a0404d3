"""The model behind a provider, call by call; `tests/functions/chat/test_model_faults.py` has all that goes wrong."""

import threading

import pytest

from taskchat.agent.chat_completions import ChatCompletionsModel
from taskchat.errors import TurnInterruptedError
from tests.support.scripted_model import ScriptedModel, hangs, says


def waiting_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("model")}


def ask(model: ChatCompletionsModel, timeout_seconds: float = 20.0) -> str:
    return model.complete([{"role": "user", "content": "Hello"}], [], timeout_seconds).content


def test_the_thread_that_waits_for_an_answer_is_kept(
    model: ChatCompletionsModel, scripted_model: ScriptedModel
) -> None:
    before = waiting_threads()
    scripted_model.script(says("One."), says("Two."))
    ask(model)
    first = waiting_threads() - before
    assert ask(model) == "Two."
    assert waiting_threads() - before == first
    assert len(first) == 1


def test_after_an_answer_that_did_not_come_in_time_another_thread_asks(
    model: ChatCompletionsModel, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(hangs(), says("Here."))
    before = waiting_threads()
    with pytest.raises(TurnInterruptedError):
        ask(model, timeout_seconds=0.1)
    stuck = waiting_threads() - before
    assert ask(model) == "Here."
    assert waiting_threads() - before != stuck
