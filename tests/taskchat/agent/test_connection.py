"""The connection to a provider, request by request; `tests/functions/chat/test_model_faults.py` has what goes wrong."""

import threading
import time
from contextlib import closing

import pytest

from taskchat.agent import OpenAIProvider, Prompt, ProviderSettings
from taskchat.agent.transcript import UserMessage
from taskchat.errors import ModelFailedError, TurnInterruptedError
from tests.support.scripted_model import ScriptedModel, drips, hangs, says, status


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


def test_a_secret_that_is_not_read_in_time_interrupts() -> None:
    released = threading.Event()

    def read_settings() -> ProviderSettings:
        released.wait(5)
        return ProviderSettings("key", None, "scripted")

    with closing(OpenAIProvider(read_settings)) as provider:
        with pytest.raises(TurnInterruptedError):
            ask(provider, timeout_seconds=0.1)
        released.set()


def test_an_answer_of_more_than_a_megabyte_is_not_kept(provider: OpenAIProvider, scripted_model: ScriptedModel) -> None:
    scripted_model.script(says("x" * 1_100_000), says("Here."))
    assert ask(provider) == "Here."


def test_an_error_without_an_end_is_read_for_a_second(provider: OpenAIProvider, scripted_model: ScriptedModel) -> None:
    scripted_model.script(drips(b"x" * 1_000, seconds_between=0.4, status=400))
    begin = time.monotonic()
    with pytest.raises(ModelFailedError):
        ask(provider)
    assert time.monotonic() - begin < 3


def test_a_provider_is_not_redirected(provider: OpenAIProvider, scripted_model: ScriptedModel) -> None:
    scripted_model.script(status(307, headers={"Location": scripted_model.base_url}))
    with pytest.raises(ModelFailedError, match="redirects elsewhere"):
        ask(provider)
    assert len(scripted_model.requests) == 1
