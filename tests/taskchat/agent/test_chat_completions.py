"""The model behind a provider, call by call; `tests/functions/chat/test_model_faults.py` has all that goes wrong."""

import threading
from contextlib import closing

import pytest

from taskchat.agent.chat_completions import ChatCompletionsModel, Provider
from taskchat.errors import ModelFailedError, TurnInterruptedError
from tests.support.scripted_model import ScriptedModel, hangs, says, status


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


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("", "/chat/completions"),
        ("/", "/chat/completions"),
        ("/v1", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/tenants/a%20b/v1", "/tenants/a%20b/v1/chat/completions"),
    ],
)
def test_the_path_is_joined_to_whatever_base_url_a_provider_has(
    scripted_model: ScriptedModel, base: str, path: str
) -> None:
    scripted_model.script(says("Here."))
    provider = Provider("key", scripted_model.base_url.removesuffix("/v1") + base, "scripted")
    with closing(ChatCompletionsModel(lambda: provider)) as model:
        assert ask(model) == "Here."
    assert scripted_model.requests[-1].path == path


def test_a_provider_is_not_told_on_what_machine_this_is(
    model: ChatCompletionsModel, scripted_model: ScriptedModel
) -> None:
    scripted_model.script(says("Here."))
    ask(model)
    told = {name for name in scripted_model.requests[-1].headers if name.startswith("x-stainless-")}
    assert not told & {"x-stainless-os", "x-stainless-arch", "x-stainless-runtime", "x-stainless-runtime-version"}


@pytest.mark.parametrize(
    ("base_url", "setting", "sent"),
    [
        (None, None, "none"),
        ("https://api.openai.com/v1", None, "none"),
        ("https://eu.api.openai.com/v1", None, "none"),
        ("https://openrouter.ai/api/v1", None, None),
        ("https://not-api.openai.com.example/v1", None, None),
        (None, "low", "low"),
        ("https://openrouter.ai/api/v1", "low", "low"),
    ],
)
def test_only_openai_gets_an_effort_by_default(base_url: str | None, setting: str | None, sent: str | None) -> None:
    assert Provider("key", base_url, "model", setting).effort == sent


def test_a_refused_effort_is_left_out_from_then_on(
    scripted_model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    scripted_model.script(status(400), says("One."), says("Two."))
    provider = Provider("key", scripted_model.base_url, "scripted", "none")
    with closing(ChatCompletionsModel(lambda: provider)) as model:
        assert [ask(model), ask(model)] == ["One.", "Two."]
    assert [request.body.get("reasoning_effort") for request in scripted_model.requests] == ["none", None, None]
    assert len(caplog.records) == 1


def test_a_request_refused_for_another_reason_keeps_the_effort(scripted_model: ScriptedModel) -> None:
    scripted_model.script(status(400), status(400), says("Here."))
    provider = Provider("key", scripted_model.base_url, "scripted", "none")
    with closing(ChatCompletionsModel(lambda: provider)) as model:
        with pytest.raises(ModelFailedError):
            ask(model)
        assert ask(model) == "Here."
    assert [request.body.get("reasoning_effort") for request in scripted_model.requests] == ["none", None, "none"]
