"""The scripted model, on which the tests of the agent rely, behaves as the SDK expects of a provider."""

import threading
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from tests.support.scripted_model import (
    Completion,
    ReceivedRequest,
    ScriptedModel,
    Usage,
    calls,
    drips,
    empty,
    hangs,
    hangs_up,
    raw,
    refuses,
    says,
    status,
)

USER = {"role": "user", "content": "hi"}


@pytest.fixture
def model() -> Iterator[ScriptedModel]:
    with ScriptedModel() as server:
        yield server


@pytest.fixture
def client(model: ScriptedModel) -> Iterator[OpenAI]:
    with OpenAI(base_url=model.base_url, api_key="test", max_retries=0, timeout=5.0) as sdk:
        yield sdk


def ask(client: OpenAI, timeout: float = 5.0) -> openai.types.chat.ChatCompletion:
    return client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hi"}], timeout=timeout)


def test_answers_come_in_the_order_of_the_script(model: ScriptedModel, client: OpenAI) -> None:
    model.script(says("one"), says("two", finish_reason="length", usage=Usage(3, 4)))
    first, second = ask(client), ask(client)
    assert [first.choices[0].message.content, second.choices[0].message.content] == ["one", "two"]
    assert second.choices[0].finish_reason == "length"
    assert second.usage is not None
    assert (second.usage.prompt_tokens, second.usage.completion_tokens) == (3, 4)
    assert model.unused == 0


def test_requests_are_recorded_with_headers_and_body(model: ScriptedModel, client: OpenAI) -> None:
    model.script(says("one"))
    ask(client)
    (request,) = model.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer test"
    assert request.messages == [USER]
    assert request.tool_names == []


def test_tool_call_ids_are_unique_unless_given(model: ScriptedModel, client: OpenAI) -> None:
    model.script(
        calls(("create_task", {"title": "a"}), ("create_task", "{not json")),
        calls(("get_task", {"id": 1}), ids=["mine"]),
        calls(("get_task", {"id": 2})),
    )
    seen = [ask(client).choices[0].message.tool_calls or [] for _ in range(3)]
    assert [[call.id for call in batch] for batch in seen] == [["call_1", "call_2"], ["mine"], ["call_3"]]
    second = seen[0][1]
    assert second.type == "function"
    assert second.function.arguments == "{not json"


def test_a_refusal_and_an_empty_answer_differ(model: ScriptedModel, client: OpenAI) -> None:
    model.script(refuses("I will not."), empty())
    assert ask(client).choices[0].message.refusal == "I will not."
    nothing = ask(client).choices[0].message
    assert (nothing.content, nothing.tool_calls) == ("", None)


def test_a_status_carries_its_headers(model: ScriptedModel, client: OpenAI) -> None:
    model.script(status(429, headers={"Retry-After": "7"}))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    assert caught.value.response.headers["Retry-After"] == "7"


def test_a_raw_body_need_not_be_json(model: ScriptedModel, client: OpenAI) -> None:
    model.script(raw(b"<html>"))
    with pytest.raises(ValueError, match="Expecting value"):
        ask(client)


def test_a_hung_answer_runs_into_the_time_out(model: ScriptedModel, client: OpenAI) -> None:
    model.script(hangs())
    with pytest.raises(openai.APITimeoutError):
        ask(client, timeout=0.1)


def test_a_cut_connection_is_a_connection_error(model: ScriptedModel, client: OpenAI) -> None:
    model.script(hangs_up())
    with pytest.raises(openai.APIConnectionError) as caught:
        ask(client)
    assert not isinstance(caught.value, openai.APITimeoutError)


def test_a_dripping_body_arrives_whole(model: ScriptedModel, client: OpenAI) -> None:
    model.script(drips(b"null", 0.001))
    assert client.post("/chat/completions", cast_to=object, body={}) is None


def test_a_function_can_act_during_a_call(model: ScriptedModel, client: OpenAI) -> None:
    seen: list[ReceivedRequest] = []

    def act(request: ReceivedRequest) -> Completion:
        seen.append(request)
        return says("done")

    model.script(act)
    assert ask(client).choices[0].message.content == "done"
    assert seen == model.requests


def test_a_request_beyond_the_script_is_recorded(model: ScriptedModel, client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="script is empty"):
        ask(client)
    assert model.unexpected == model.requests
    assert len(model.unexpected) == 1


def test_closing_ends_every_thread() -> None:
    before = set(threading.enumerate())
    with ScriptedModel() as server, OpenAI(base_url=server.base_url, api_key="test", max_retries=0) as client:
        server.script(hangs())
        with pytest.raises(openai.APITimeoutError):
            ask(client, timeout=0.1)
    assert set(threading.enumerate()) <= before
