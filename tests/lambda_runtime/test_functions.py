"""The built functions in Lambda's runtime: HTTP API events in, responses out."""

import json
import re
import socket
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from local.gateway.template_yaml import load
from local.lambda_events import http_event
from tests.lambda_runtime.conftest import ROOT, Migration, StartFunction, restore

EVENTS = ROOT / "events"
HTTP_EVENTS = sorted(path.stem for path in EVENTS.glob("*.json") if "routeKey" in json.loads(path.read_text()))
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
    if route_key == "POST /tasks":
        return HTTPStatus.CREATED
    return HTTPStatus.NO_CONTENT if route_key.startswith(("DELETE", "PUT")) else HTTPStatus.OK


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob("*")}


@pytest.fixture
def closed_port() -> int:
    """Return a port on loopback where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.usefixtures("migrated")
def test_the_list_of_a_new_person_is_empty(function: StartFunction) -> None:
    answer = function("ConversationsFunction").invoke(http_event("GET", "/conversations"))

    assert answer["statusCode"] == 200
    assert body(answer) == {"items": [], "next_cursor": None}


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [("ConversationsFunction", "GET", "/conversations"), ("ChatFunction", "POST", "/chat")],
)
def test_without_verified_claims_the_answer_is_a_401_problem(
    function: StartFunction, name: str, method: str, path: str
) -> None:
    answer = function(name).invoke(http_event(method, path, body={"message": "hello"}, user=None))

    assert answer["statusCode"] == 401
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert body(answer)["code"] == "unauthenticated"


@pytest.mark.usefixtures("migrated")
def test_migrate_upgrades_and_current_shows_the_revision(function: StartFunction, migration: Migration) -> None:
    current = function("MigrateFunction").invoke({"action": "current"})

    assert migration.answer["from_revision"] is None
    assert len(migration.answer["applied"]) >= 3
    assert current["to_revision"] == migration.answer["to_revision"] == migration.answer["applied"][-1]


@pytest.mark.usefixtures("migrated")
def test_a_failed_migration_is_a_function_error(function: StartFunction) -> None:
    answer = function("MigrateFunction").invoke({"action": "downgrade", "revision": "base"})

    assert {"errorType", "errorMessage"} <= set(answer)


@pytest.mark.usefixtures("migrated")
def test_a_turn_calls_a_tool_and_is_listed(function: StartFunction) -> None:
    answer = function("ChatFunction").invoke(
        http_event("POST", "/chat", body={"message": "Add a task to buy groceries"})
    )
    listed = function("ConversationsFunction").invoke(http_event("GET", "/conversations"))

    assert answer["statusCode"] == 200
    assert [call["tool"] for call in body(answer)["tool_calls"]] == ["create_task"]
    assert [item["id"] for item in body(listed)["items"]] == [body(answer)["conversation_id"]]


@pytest.mark.usefixtures("migrated")
def test_the_same_key_in_another_instance_replays_the_answer(
    function: StartFunction, start_function: StartFunction, offline_provider: Mapping[str, str]
) -> None:
    event = http_event("POST", "/chat", body={"message": "Add a task to pay bills"}, headers={"idempotency-key": "k"})

    first = function("ChatFunction").invoke(event)
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


@pytest.fixture(scope="module")
def after_a_turn(
    function: StartFunction, migration: Migration, sqlite_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a database with the turn of the sample in it."""
    restore(migration.path, sqlite_path)
    function("ChatFunction").invoke(sample("chat"))
    kept = tmp_path_factory.mktemp("after-a-turn") / "taskchat.sqlite3"
    restore(sqlite_path, kept)
    return kept


@pytest.mark.parametrize("name", HTTP_EVENTS)
def test_each_sample_event_has_a_route_and_an_answer(
    function: StartFunction, after_a_turn: Path, sqlite_path: Path, name: str
) -> None:
    restore(after_a_turn, sqlite_path)
    event = sample(name)

    answer = function(routes()[event["routeKey"]]).invoke(event)

    assert answer["statusCode"] == expected_status(name, event["routeKey"])


def test_each_route_of_the_template_has_a_sample_event() -> None:
    assert {sample(name)["routeKey"] for name in HTTP_EVENTS} == set(routes())


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize("name", MIGRATE_EVENTS)
def test_each_sample_of_migrate_succeeds(function: StartFunction, name: str) -> None:
    answer = function("MigrateFunction").invoke(sample(name))

    assert answer["action"] == sample(name).get("action", "upgrade")


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    ("name", "answer"), [("worker-sweep", {"queued": 0}), ("worker-turn", {"batchItemFailures": []})]
)
def test_each_sample_of_the_worker_succeeds(function: StartFunction, name: str, answer: dict[str, Any]) -> None:
    assert function("WorkerFunction").invoke(sample(name)) == answer


@pytest.mark.usefixtures("migrated")
@pytest.mark.parametrize(
    ("name", "event"),
    [
        ("ChatFunction", "chat"),
        ("ConversationsFunction", "conversations-list"),
        ("McpFunction", "mcp-tools-call"),
        ("MigrateFunction", "migrate"),
        ("WorkerFunction", "worker-sweep"),
    ],
)
def test_a_cold_start_writes_nothing_and_imports_no_sdk(
    start_function: StartFunction, build: Path, offline_provider: Mapping[str, str], name: str, event: str
) -> None:
    before = snapshot(build)
    # Python then says of each module where its code object comes from, and lists the imports, also those that fail.
    emulator = start_function(name, {**offline_provider, "PYTHONVERBOSE": "1", "PYTHONPROFILEIMPORTTIME": "1"})

    emulator.invoke(sample(event))

    log = emulator.log()
    assert len(READ_FROM_BYTECODE.findall(log)) > 100
    assert COMPILED_FROM_SOURCE.findall(log) == []
    assert snapshot(build) == before
    imported = set(re.findall(r"^import time: .*\| +([\w.]+)$", log, re.MULTILINE))
    assert "taskchat.settings" in imported
    assert not imported & {"boto3", "botocore.client", "botocore.session", "aws_xray_sdk"}
