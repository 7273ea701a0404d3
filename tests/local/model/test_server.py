"""The offline model over HTTP: it refuses what OpenAI refuses."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from local.loopback import LoopbackServer
from local.model.server import offline_model


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with offline_model() as server:
        yield server


@pytest.fixture
def connection(server: LoopbackServer) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    yield connection
    connection.close()


def test_a_stream_is_declined_in_words(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="does not stream"):
        client.chat.completions.create(model="offline", messages=[{"role": "user", "content": "hi"}], stream=True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"messages": "hi"}', b'{"messages": [1]}', b"\xff"])
def test_a_body_that_is_no_request_is_400(connection: http.client.HTTPConnection, body: bytes) -> None:
    for _ in range(2):
        connection.request("POST", "/v1/chat/completions", body)
        answer = connection.getresponse()
        assert answer.status == 400
        assert json.loads(answer.read())["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_another_path_is_404(connection: http.client.HTTPConnection, method: str) -> None:
    connection.request(method, "/v1/completions", b"{}")
    assert connection.getresponse().status == 404


def test_a_body_without_a_length_is_411(connection: http.client.HTTPConnection) -> None:
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    assert connection.getresponse().status == 411


TOOL = {"name": "list_tasks", "parameters": {"type": "object", "properties": {}}}
CHAT = {
    "model": "offline",
    "messages": [{"role": "user", "content": "Show my tasks"}],
    "tools": [{"type": "function", "function": TOOL}],
    "reasoning_effort": "none",
}
RESPONSE: dict[str, Any] = {
    "model": "offline",
    "input": [{"role": "user", "content": "Show my tasks"}],
    "tools": [{"type": "function", **TOOL}],
    "store": False,
    "include": ["reasoning.encrypted_content"],
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "list_tasks", "arguments": "{}"}}
ITEM = {"type": "function_call", "call_id": "call_1", "name": "list_tasks", "arguments": "{}"}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "offline-1"}


def user(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "Hi"}, *more]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"reasoning_effort": None}, "reasoning_effort"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"max_tokens": 100}, "max_tokens"),
        ({"colour": "blue"}, "colour"),
        ({"stream": True}, "stream"),
        ({"messages": user({"role": "assistant", "tool_calls": [CALL]})}, "messages"),
        ({"messages": user({"role": "tool", "tool_call_id": "call_1", "content": "{}"})}, "messages[1].role"),
        ({"messages": user({"role": "robot", "content": "Hi"})}, "messages[1].role"),
        ({"messages": user({"role": "assistant", "content": ""})}, "messages[1].content"),
        ({"tools": [{"type": "function", "function": {"name": "no spaces please"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
    ],
    ids=str,
)
def test_chat_completions_refuses_what_openai_refuses(client: OpenAI, changes: dict[str, Any], param: str) -> None:
    body = {name: value for name, value in (CHAT | changes).items() if value is not None}
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/chat/completions", cast_to=object, body=body)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"max_tokens": 100}, 400),
        ({"messages": []}, 400),
        ({"reasoning": {"effort": "enormous"}}, 400),
        ({"previous_response_id": "resp_1"}, 400),
        ({"input": user(ITEM)}, 400),
        ({"input": user({"type": "function_call_output", "call_id": "call_1", "output": "{}"})}, 400),
        ({"input": user({"type": "telepathy"})}, 400),
        ({"input": user(REASONING)}, 400),
        ({"input": user({**REASONING, "encrypted_content": None}, ITEM)}, 404),
        ({"input": user({**REASONING, "encrypted_content": "forged"}, ITEM)}, 400),
        ({"tools": [{"type": "function", "function": TOOL}]}, 400),
    ],
    ids=str,
)
def test_responses_refuses_what_openai_refuses(client: OpenAI, changes: dict[str, Any], status: int) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/responses", cast_to=object, body=RESPONSE | changes)
    assert refused.value.status_code == status


def test_responses_takes_its_reasoning_back(client: OpenAI) -> None:
    first: Any = client.post("/responses", cast_to=object, body=RESPONSE)
    reasoning, call = first["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"tasks": [], "count": 0}'}
    body = RESPONSE | {"input": [*RESPONSE["input"], reasoning, call, output]}
    second: Any = client.post("/responses", cast_to=object, body=body)
    assert second["output"][0]["content"][0]["text"] == "You have no tasks."


def test_responses_may_be_given_words_alone(client: OpenAI) -> None:
    answer = client.responses.create(model="offline", input="hi", instructions="Be brief.", store=False)
    assert answer.output_text.startswith("Hello!")
    assert answer.usage is not None
    assert answer.usage.input_tokens > 0
