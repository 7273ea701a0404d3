"""The OpenAPI 3.1 document of the whole API, put together from the apps of all functions.

Each app gives its routes, problems and headers. Examples and the parts that the apps share are added here, so that no
function carries them.
"""

import json
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from pydantic import TypeAdapter

from functions.chat.app import app as chat
from functions.conversations.app import app as conversations
from functions.mcp.app import app as mcp
from functions.tasks.app import app as tasks
from local.environment import ROOT
from local.gateway.template import read_template
from local.openapi.examples import REQUESTS, RESPONSES
from taskchat.errors import MethodNotAllowedError
from taskchat.http.openapi import COMPONENTS, TOKEN, problems
from taskchat.toolkit import ToolCall

APPS: Mapping[str, FastAPI] = {"Chat": chat, "Conversations": conversations, "Tasks": tasks, "MCP": mcp}
TEMPLATE = ROOT / "template.yaml"
INFO: Mapping[str, Any] = {
    "title": "Taskchat",
    "version": "1",
    "summary": "Chat with an assistant that manages your tasks.",
    "description": (
        "Every route but the metadata of MCP needs a token. Errors are RFC 9457 problems with a stable `code`; "
        'docs/problems.md lists them. API Gateway answers by itself with `{"message": …}` to a request without a '
        "valid token, beyond its throttle, and for a route that does not exist. A request with an `Idempotency-Key` "
        "can be repeated: it has its effect once, and a repetition gets the stored answer. Lists are pages: send "
        "`next_cursor` as `cursor` to get the next one. Times are in UTC."
    ),
    "license": {"name": "MIT", "identifier": "MIT"},
}
SERVERS = [
    {"url": "http://127.0.0.1:3000", "description": "make run"},
    {
        "url": "https://{host}",
        "description": "A deployed stage",
        "variables": {"host": {"default": "api.example.com", "description": "Host of the output ApiUrl or PageUrl"}},
    },
]
TAGS = [
    {"name": "Chat", "description": "Messages to the assistant, and the turns that answer them."},
    {"name": "Conversations", "description": "Past conversations: their messages are the audit trail."},
    {"name": "Tasks", "description": "Tasks without the assistant. Changes are audited like its own."},
    {"name": "MCP", "description": "The tools for clients of the Model Context Protocol; see docs/mcp.md."},
]
_METHODS = {"GET /mcp": "get_mcp", "DELETE /mcp": "delete_mcp"}
"""Routes that exist so that a client of the protocol is told that there is no such method."""


def document() -> dict[str, Any]:
    """Return the document.

    Raises:
        ValueError: a route of the template is not documented, or the other way round, or two schemas share a name.
    """
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = dict(COMPONENTS["schemas"])
    for tag, app in APPS.items():
        part = app.openapi()
        for path, operations in part["paths"].items():
            for method, operation in operations.items():
                paths.setdefault(path, {})[method] = _operation(tag, operation)
        for name, schema in part.get("components", {}).get("schemas", {}).items():
            if schemas.setdefault(name, schema) != schema:
                raise ValueError(f"two apps describe {name} differently")
    for route, operation_id in _METHODS.items():
        method, path = route.split(" ")
        paths[path][method.lower()] = {
            "tags": ["MCP"],
            "summary": "Answer that there is no such method",
            "operationId": operation_id,
            "responses": _with_text_keys(problems(MethodNotAllowedError)),
            **TOKEN,
        }
    calls = TypeAdapter(ToolCall).json_schema(ref_template="#/components/schemas/{model}")
    schemas |= calls.pop("$defs", {}) | {"ToolCall": calls}
    whole = {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": SERVERS,
        "tags": TAGS,
        "paths": dict(sorted(paths.items())),
        "components": {"securitySchemes": COMPONENTS["securitySchemes"], "schemas": dict(sorted(schemas.items()))},
    }
    _check_routes(paths)
    tidy: dict[str, Any] = _tidy(json.loads(json.dumps(whole)))
    return tidy


def text_of(whole: Mapping[str, Any]) -> str:
    """Return a document as the text of its file."""
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def operations(whole: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method and the description of each operation."""
    for path, methods in whole["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _operation(tag: str, operation: dict[str, Any]) -> dict[str, Any]:
    name = operation["operationId"]
    first, _, rest = operation.get("description", "").partition(". ")
    described = {**operation, "tags": [tag], "summary": first.removesuffix("."), "description": rest}
    if not rest:
        del described["description"]
    if name in REQUESTS:
        for content in described["requestBody"]["content"].values():
            content["examples"] = {"example": {"value": REQUESTS[name]}}
    has_key = any(parameter["name"] == "Idempotency-Key" for parameter in described.get("parameters", ()))
    for status, response in described["responses"].items():
        if response.get("description") == "Successful Response":
            response["description"] = HTTPStatus(int(status)).phrase
        content = response.get("content", {}).get("application/json")
        if content is not None and (name, status) in RESPONSES:
            content["examples"] = {"example": {"value": RESPONSES[name, status]}}
        if has_key and int(status) >= 400 and "application/problem+json" in response.get("content", {}):
            key = {"description": "The key of the request.", "schema": {"type": "string"}}
            response["headers"] = {**response.get("headers", {}), "Idempotency-Key": key}
    return described


def _with_text_keys(responses: Mapping[int | str, Any]) -> dict[str, Any]:
    return {str(status): response for status, response in responses.items()}


def _tidy(node: Any, *, is_map: bool = False) -> Any:
    """Leave out titles that repeat names, refer to tool calls by name, and say that a query holds no null.

    The keys of `is_map` are names, so that a property may be called `title`.
    """
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if not is_map and node.get("in") == "query":
        node = {**node, "schema": _without_null(node["schema"])}
    tidy = {}
    for key, value in node.items():
        if not is_map and key == "title" and isinstance(value, str) and {"type", "anyOf", "$ref", "enum"} & node.keys():
            continue
        if key in ("example", "examples", "value"):
            tidy[key] = value
            continue
        tidy[key] = _tidy(
            _tool_calls(value) if key == "tool_calls" and is_map else value,
            is_map=key in ("properties", "schemas", "paths", "headers", "responses") and not is_map,
        )
    return tidy


def _tool_calls(schema: dict[str, Any]) -> dict[str, Any]:
    array = {"type": "array", "items": {"$ref": "#/components/schemas/ToolCall"}}
    return {"anyOf": [array, {"type": "null"}]} if "anyOf" in schema else array


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) != 1:
        return schema
    return {**choices[0], **{key: value for key, value in schema.items() if key not in ("anyOf", "title")}}


def _check_routes(paths: Mapping[str, Mapping[str, Any]]) -> None:
    documented = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    routes = {route.key for route in read_template(TEMPLATE).routes if not route.key.startswith("$")}
    if documented != routes:
        raise ValueError(f"the template and the apps differ in {sorted(documented ^ routes)}")
