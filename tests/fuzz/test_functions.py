"""Functions answer every input of a client with a result or with a problem of the client's, never with a defect.

Inputs that once broke a function stay as explicit examples.
"""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from functions.chat import app as chat_app
from functions.conversations import app as conversations_app
from functions.mcp import app as mcp_app
from functions.tasks import app as tasks_app
from functions.worker import app as worker_app
from local.lambda_events import LambdaContext, http_event
from tests.functions import conftest
from tests.functions.mcp.conftest import HOST, MODERN, NEWEST_HANDSHAKE
from tests.support.mutations import JSON, ODD_TEXT, mutated

scripted_model = conftest.scripted_model
chat_handler = conftest.chat_handler

pytestmark = [
    pytest.mark.usefixtures("chat_handler", "mcp_hosts"),
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
]
# One database serves all examples of a test.
bounded = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])

BODIES = ODD_TEXT | JSON.map(json.dumps)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["content-type", "idempotency-key", "prefer", "if-none-match", "x-forwarded-port", "host", "cookie"]
    ),
    ODD_TEXT,
    max_size=3,
)
REQUESTS = st.fixed_dictionaries({}, optional={"rawQueryString": ODD_TEXT, "isBase64Encoded": st.booleans()})


@pytest.fixture
def mcp_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_HOSTS", HOST)


def status(handler: Any, event: dict[str, Any]) -> int:
    response = handler(event, LambdaContext())
    body = json.loads(response["body"]) if response.get("body") else None
    assert not (isinstance(body, dict) and body.get("code") == "internal"), body
    return int(response["statusCode"])


@given(
    path=st.sampled_from(["/conversations", "/conversations/1", "/conversations/1/messages"])
    | ODD_TEXT.map(lambda text: f"/conversations/{text}"),
    method=st.sampled_from(["GET", "PATCH", "DELETE", "POST", "HEAD"]),
    body=BODIES | mutated({"title": "New"}).map(json.dumps),
    query=st.dictionaries(st.sampled_from(["limit", "cursor", "text", "kind"]) | ODD_TEXT, ODD_TEXT, max_size=3),
    headers=HEADERS,
    more=REQUESTS,
)
@bounded
def test_a_request_of_conversations(
    path: str, method: str, body: str, query: dict[str, str], headers: dict[str, str], more: dict[str, Any]
) -> None:
    storable = {name.encode(errors="replace"): value.encode(errors="replace") for name, value in query.items()}
    event = http_event(method, path, body=body, query=storable, headers=headers)  # type: ignore[arg-type]
    assert status(conversations_app.handler, event | more) < 500


@given(
    path=st.sampled_from(["/tasks", "/tasks/1"]) | ODD_TEXT.map(lambda text: f"/tasks/{text}"),
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    body=BODIES
    | mutated({"title": "Milk", "due_at": "2026-01-01", "priority": "high", "completed": True}).map(json.dumps),
    query=st.dictionaries(st.sampled_from(["limit", "cursor", "text", "status", "due_before"]), ODD_TEXT, max_size=3),
    headers=HEADERS,
)
@bounded
def test_a_request_of_tasks(path: str, method: str, body: str, query: dict[str, str], headers: dict[str, str]) -> None:
    storable = {name: value.encode(errors="replace") for name, value in query.items()}
    assert status(tasks_app.handler, http_event(method, path, body=body, query=storable, headers=headers)) < 500


@given(
    body=BODIES | mutated({"message": "Hi", "conversation_id": 1, "timezone": "Europe/Berlin"}).map(json.dumps),
    headers=HEADERS,
    more=REQUESTS,
)
@bounded
def test_a_message_of_a_person(body: str, headers: dict[str, str], more: dict[str, Any]) -> None:
    # The model's script is empty, so a valid message ends as a failure of the model.
    event = http_event("POST", "/chat", body=body, headers=headers)
    assert status(chat_app.handler, event | more) in {404, 409, 413, 422, 502}


@given(turn=ODD_TEXT | st.uuids().map(str), headers=HEADERS, method=st.sampled_from(["GET", "DELETE", "PUT"]))
@bounded
def test_a_request_of_a_turn(turn: str, headers: dict[str, str], method: str) -> None:
    assert status(chat_app.handler, http_event(method, f"/turns/{turn}", headers=headers)) < 500


META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "Fuzz", "version": "1"},
}
CALLS: list[dict[str, Any]] = [
    {"method": "tools/call", "params": {"name": "create_task", "arguments": {"title": "Milk", "due_at": "2026-01-01"}}},
    {"method": "tools/call", "params": {"name": "list_tasks", "arguments": {"text": "x", "limit": 5}}},
    {"method": "resources/read", "params": {"uri": "task://1"}},
    {"method": "prompts/get", "params": {"name": "plan_my_day", "arguments": {"timezone": "UTC"}}},
    {
        "method": "completion/complete",
        "params": {"ref": {"type": "ref/resource", "uri": "task://{id}"}, "argument": {"name": "id", "value": "1"}},
    },
    {"method": "initialize", "params": {"protocolVersion": NEWEST_HANDSHAKE, "capabilities": {}, "clientInfo": {}}},
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["method"])
@given(data=st.data(), version=st.sampled_from([MODERN, NEWEST_HANDSHAKE]), is_lenient=st.booleans())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_message_of_a_client(call: dict[str, Any], data: st.DataObject, version: str, is_lenient: bool) -> None:
    valid = {"jsonrpc": "2.0", "id": 1, **call, "params": {**call["params"], "_meta": META}}
    message = data.draw(JSON | mutated(valid) | mutated(call["params"]).map(lambda params: {**valid, "params": params}))
    if is_lenient and isinstance(message, dict) and isinstance(message.get("params"), dict):
        message["params"]["_meta"] = META
    params = message.get("params") if isinstance(message, dict) else None
    name = (params.get("name") or params.get("uri") or "") if isinstance(params, dict) else ""
    headers = {"accept": "application/json, text/event-stream", "host": HOST, "mcp-protocol-version": version}
    headers |= {"mcp-method": str(call["method"]), "mcp-name": str(name)[:40]}
    event = http_event("POST", "/mcp", body=json.dumps(message), headers=headers)
    response = mcp_app.handler(event, LambdaContext())
    assert response["statusCode"] < 500
    is_json = "json" in response["headers"].get("content-type", "") and response["body"]
    answer = json.loads(response["body"]) if is_json else {}
    assert answer.get("error", {}).get("code") != -32603, answer


@given(bodies=st.lists(BODIES | mutated({"turn_id": "0" * 32}).map(json.dumps), min_size=1, max_size=3))
@example(bodies=['{"turn_id": "00000000-0000-0000-0000-000000000001"}'])
@bounded
def test_a_batch_of_the_queue(bodies: list[str]) -> None:
    records = [
        {"messageId": str(number), "receiptHandle": "r", "body": body, "eventSource": "aws:sqs", "attributes": {}}
        for number, body in enumerate(bodies)
    ]
    answer = worker_app.handler({"Records": records}, LambdaContext(lambda: 900_000))
    assert {failure["itemIdentifier"] for failure in answer["batchItemFailures"]} <= set(map(str, range(len(bodies))))
