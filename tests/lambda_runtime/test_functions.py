"""The built functions in Lambda's runtime: HTTP API events in, responses out."""

import json
import re
import socket
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from local.emulator import Emulator
from local.gateway.template_yaml import load
from local.lambda_events import http_event
from tests.lambda_runtime.conftest import ROOT, Migration, StartFunction

EVENTS = ROOT / "events"
HTTP_EVENTS = sorted(path.stem for path in EVENTS.glob("*.json") if re.match(r"chat|conversation|mcp|turn", path.stem))
MIGRATE_EVENTS = sorted(path.stem for path in EVENTS.glob("migrate*.json"))
COMPILED_FROM_SOURCE = re.compile(r"# code object from (/.*\.py)$", re.MULTILINE)
READ_FROM_BYTECODE = re.compile(r"# code object from '(/.*\.pyc)'$", re.MULTILINE)


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def body(answer: Mapping[str, Any]) -> Any:
    return json.loads(answer["body"])


def routes() -> dict[str, str]:
    """Return the function of each route that the template has."""
    resources = load((ROOT / "template.yaml").read_text())["Resources"]
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": name
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def expected_status(name: str, route_key: str) -> HTTPStatus:
    """Return what a sample is answered with: /mcp has no stream and no session, and here there is no issuer."""
    if name in {"mcp-get", "mcp-delete"}:
        return HTTPStatus.METHOD_NOT_ALLOWED
    # The turn of the sample is nobody's.
    if name.startswith(("mcp-metadata", "turn")):
        return HTTPStatus.NOT_FOUND
    return HTTPStatus.NO_CONTENT if route_key.startswith("DELETE") else HTTPStatus.OK


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.fixture
def closed_port() -> int:
    """Return a port on loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.usefixtures("migrated")
def test_the_list_of_a_new_person_is_empty(start_function: StartFunction) -> None:
    answer = start_function("ConversationsFunction").invoke(http_event("GET", "/conversations"))

    assert answer["statusCode"] == 200
    assert body(answer) == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("function", "method", "path"),
    [("ConversationsFunction", "GET", "/conversations"), ("ChatFunction", "POST", "/chat")],
)
def test_without_verified_claims_the_answer_is_a_401_problem(
    start_function: StartFunction, function: str, method: str, path: str
) -> None:
    answer = start_function(function).invoke(http_event(method, path, body={"message": "hello"}, user=None))

    assert answer["statusCode"] == 401
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert body(answer)["code"] == "unauthenticated"


@pytest.mark.usefixtures("migrated")
def test_migrate_upgrades_and_current_shows_the_revision(start_function: StartFunction, migration: Migration) -> None:
    current = start_function("MigrateFunction").invoke({"action": "current"})

    assert migration.answer["from_revision"] is None
    assert len(migration.answer["applied"]) >= 3
    assert current["to_revision"] == migration.answer["to_revision"] == migration.answer["applied"][-1]


def test_a_failed_migration_is_a_function_error(start_function: StartFunction) -> None:
    answer = start_function("MigrateFunction").invoke({"action": "downgrade", "revision": "base"})

    assert {"errorType", "errorMessage"} <= set(answer)


@pytest.mark.usefixtures("migrated")
def test_a_turn_calls_a_tool_and_is_listed(start_function: StartFunction, offline_provider: Mapping[str, str]) -> None:
    chat = start_function("ChatFunction", offline_provider)

    answer = chat.invoke(http_event("POST", "/chat", body={"message": "Add a task to buy groceries"}))
    listed = start_function("ConversationsFunction").invoke(http_event("GET", "/conversations"))

    assert answer["statusCode"] == 200
    assert [call["tool"] for call in body(answer)["tool_calls"]] == ["create_task"]
    assert [item["id"] for item in body(listed)["items"]] == [body(answer)["conversation_id"]]


@pytest.mark.usefixtures("migrated")
def test_the_same_key_in_another_instance_replays_the_answer(
    start_function: StartFunction, offline_provider: Mapping[str, str]
) -> None:
    event = http_event("POST", "/chat", body={"message": "Add a task to pay bills"}, headers={"idempotency-key": "k"})

    first = start_function("ChatFunction", offline_provider).invoke(event)
    second = start_function("ChatFunction", offline_provider).invoke(event)

    assert second["headers"]["idempotent-replayed"] == "true"
    assert body(second) == body(first)


@pytest.mark.usefixtures("migrated")
def test_a_model_that_cannot_be_reached_is_a_502_problem(start_function: StartFunction, closed_port: int) -> None:
    chat = start_function(
        "ChatFunction", {"OPENAI_BASE_URL": f"http://127.0.0.1:{closed_port}/v1", "OPENAI_API_KEY": "key"}
    )

    answer = chat.invoke(http_event("POST", "/chat", body={"message": "hello"}))

    assert answer["statusCode"] == 502
    assert body(answer)["code"] == "model-failed"


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_each_sample_event_has_a_route_and_an_answer(
    start_function: StartFunction, offline_provider: Mapping[str, str], name: str
) -> None:
    event = sample(name)
    function = routes()[event["routeKey"]]
    start_function("ChatFunction", offline_provider).invoke(sample("chat"))

    answer = start_function(function, offline_provider).invoke(event)

    assert answer["statusCode"] == expected_status(name, event["routeKey"])


def test_each_route_of_the_template_has_a_sample_event() -> None:
    assert {sample(name)["routeKey"] for name in HTTP_EVENTS} == set(routes())


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("name", MIGRATE_EVENTS)
def test_each_sample_of_migrate_succeeds(start_function: StartFunction, name: str) -> None:
    answer = start_function("MigrateFunction").invoke(sample(name))

    assert answer["action"] == sample(name).get("action", "upgrade")


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    ("name", "answer"), [("worker-sweep", {"queued": 0}), ("worker-turn", {"batchItemFailures": []})]
)
def test_each_sample_of_the_worker_succeeds(
    start_function: StartFunction, offline_provider: Mapping[str, str], name: str, answer: dict[str, Any]
) -> None:
    assert start_function("WorkerFunction", offline_provider).invoke(sample(name)) == answer


COLD_STARTS = [
    ("ChatFunction", "chat"),
    ("ConversationsFunction", "conversations-list"),
    ("McpFunction", "mcp-tools-call"),
    ("MigrateFunction", "migrate"),
    ("WorkerFunction", "worker-sweep"),
]


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(("function", "event"), COLD_STARTS)
def test_a_cold_start_compiles_nothing_and_writes_nothing(
    start_function: StartFunction,
    build: Path,
    offline_provider: Mapping[str, str],
    function: str,
    event: str,
) -> None:
    before = snapshot(build)
    # Python then says of each module where its code object comes from.
    emulator: Emulator = start_function(function, {**offline_provider, "PYTHONVERBOSE": "1"})

    emulator.invoke(sample(event))

    assert len(READ_FROM_BYTECODE.findall(emulator.log())) > 100
    assert COMPILED_FROM_SOURCE.findall(emulator.log()) == []
    assert snapshot(build) == before


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(("function", "event"), COLD_STARTS)
def test_neither_boto3_nor_an_x_ray_sdk_is_imported(
    start_function: StartFunction, offline_provider: Mapping[str, str], function: str, event: str
) -> None:
    emulator = start_function(function, {**offline_provider, "PYTHONPROFILEIMPORTTIME": "1"})

    emulator.invoke(sample(event))

    # An import that finds nothing is listed as well.
    imported = set(re.findall(r"^import time: .*\| +([\w.]+)$", emulator.log(), re.MULTILINE))
    assert "taskchat.settings" in imported
    assert not imported & {"boto3", "botocore.client", "botocore.session", "aws_xray_sdk"}
