"""The OpenAPI document that the apps give: every problem, every header, and which routes need a token."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from functions.chat.app import app as chat_app
from functions.conversations.app import app as conversations_app
from functions.mcp.app import app as mcp_app
from functions.tasks.app import app as tasks_app
from local.gateway.template import read_template
from taskchat.errors import TaskchatError
from taskchat.http.openapi import COMPONENTS
from taskchat.http.problems import PROBLEM_MEDIA_TYPE

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
APPS = [chat_app, conversations_app, tasks_app, mcp_app]
PUBLIC = {route.path for route in read_template(TEMPLATE).routes if not route.needs_token}


def operations(app: FastAPI) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in app.openapi()["paths"].items():
        for operation in methods.values():
            yield path, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(reference := node.get("$ref"), str):
            yield reference
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize("app", APPS)
def test_a_route_declares_its_problems_and_its_token(app: FastAPI) -> None:
    for path, operation in operations(app):
        responses = operation["responses"]
        assert ("security" in operation) == (path not in PUBLIC)
        assert {"429", "500", "503"} <= responses.keys()
        assert ("401" in responses) or path in PUBLIC
        errors = [response for status, response in responses.items() if int(status) >= 400]
        assert all(response["content"] and response["description"] for response in errors)


@pytest.mark.parametrize("app", APPS)
def test_examples_are_problems_with_all_required_members(app: FastAPI) -> None:
    required = COMPONENTS["schemas"]["Problem"]["required"]
    known = {(error.code, error.status) for error in TaskchatError.__subclasses__()}
    for _, operation in operations(app):
        for status, response in operation["responses"].items():
            for code, example in response.get("content", {}).get(PROBLEM_MEDIA_TYPE, {}).get("examples", {}).items():
                assert (code, int(status)) in known
                assert (example["value"]["code"], example["value"]["status"]) == (code, int(status))
                assert set(required) <= example["value"].keys()


@pytest.mark.parametrize("app", APPS)
def test_every_reference_leads_to_a_component(app: FastAPI) -> None:
    document = app.openapi()
    components = {**COMPONENTS["schemas"], **document.get("components", {}).get("schemas", {})}
    assert document["openapi"].startswith("3.1")
    assert {reference.rpartition("/")[2] for reference in references(document)} <= components.keys()


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for app in APPS for _, operation in operations(app)]
    assert len(ids) == len(set(ids)) == 23
    assert "post_chat" in ids


def test_the_idempotency_key_is_declared() -> None:
    chat = dict(operations(chat_app))["/chat"]
    assert [parameter["name"] for parameter in chat["parameters"]] == ["Idempotency-Key", "Prefer"]
    assert set(chat["responses"]["200"]["headers"]) == {"Idempotency-Key", "Idempotent-Replayed"}
