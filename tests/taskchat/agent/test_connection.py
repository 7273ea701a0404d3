"""The connection to a provider, request by request; `tests/functions/chat/test_model_faults.py` has what goes wrong."""

import threading
from contextlib import closing

import pytest

from taskchat.agent import OpenAIProvider, Prompt, ProviderSettings
from taskchat.agent.transcript import UserMessage
from taskchat.errors import TurnInterruptedError
from tests.support.scripted_model import ScriptedModel, hangs, says


def waiting_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("model")}


def ask(provider: OpenAIProvider, timeout_seconds: float = 20.0) -> str:
    return provider.complete(Prompt([], "Be brief.", [UserMessage("Hello")]), timeout_seconds).content


def test_the_waiting_thread_is_kept(provider: OpenAIProvider, scripted_model: ScriptedModel) -> None:
    before = waiting_threads()
    scripted_model.script(says("One."), says("Two."))
    ask(provider)
    first = waiting_threads() - before
    assert ask(provider) == "Two."
    assert waiting_threads() - before == first
    assert len(first) == 1


def test_a_late_answer_leaves_its_thread_behind(provider: OpenAIProvider, scripted_model: ScriptedModel) -> None:
    scripted_model.script(hangs(), says("Here."))
    before = waiting_threads()
    with pytest.raises(TurnInterruptedError):
        ask(provider, timeout_seconds=0.1)
    stuck = waiting_threads() - before
    assert ask(provider) == "Here."
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
def test_the_path_is_joined_to_the_base_url(scripted_model: ScriptedModel, base: str, path: str) -> None:
    scripted_model.script(says("Here."))
    settings = ProviderSettings("key", scripted_model.base_url.removesuffix("/v1") + base, "scripted")
    with closing(OpenAIProvider(lambda: settings)) as provider:
        assert ask(provider) == "Here."
    assert scripted_model.requests[-1].path == path
