"""Events as a client can make them: no request ends in an exception, and no prefix of a path hides a route."""

from typing import Annotated, Any

import pytest
from fastapi import Header, Request

from local.lambda_events import Answer, http_event, invoke
from taskchat.http import Body, Text, create_app, lambda_handler

app = create_app()


class Note(Body):
    """A body with one text."""

    text: Text


@app.post("/notes")
async def post_note(note: Note) -> Note:
    return note


@app.get("/notes/{id}")
async def get_note(request: Request, mark: Annotated[str, Header()] = "") -> dict[str, str]:
    return {"id": request.path_params["id"], "mark": mark, "root_path": request.scope["root_path"]}


handler = lambda_handler(app)


def get(path: str, *, route: str = "/notes/{id}", headers: dict[str, str] | None = None, **event: Any) -> Answer:
    made = http_event("GET", path, headers=headers)
    parameters = {"pathParameters": {"id": path.rpartition("/")[2]}}
    return invoke(handler, {**made, "routeKey": f"GET {route}", **parameters, **event})


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("/notes/7", ""),
        ("/v1/notes/7", "/v1"),
        ("/api/v1/notes/7", "/api/v1"),
        ("/notes/notes/7", "/notes"),
        ("/$-_.+!*'()/notes/7", "/$-_.+!*'()"),
    ],
)
def test_a_mapping_key_or_a_stage_precedes_a_route(path: str, prefix: str) -> None:
    answer = get(path)
    assert (answer.status, answer.body["id"], answer.body["root_path"]) == (200, "7", prefix)


@pytest.mark.parametrize("path", ["/v1/nothing/7", "/notes/7/more", "/note"])
def test_no_other_path_becomes_a_route(path: str) -> None:
    assert get(path).status == 404


@pytest.mark.parametrize("value", [" 7", "7 ", "\t7 \t", "7"])
def test_blanks_around_a_header_are_trimmed(value: str) -> None:
    assert get("/notes/1", headers={"mark": value}).body["mark"] == "7"


@pytest.mark.parametrize(
    "headers",
    [
        {"mark": "\ud800"},
        {"m\udfff": "x"},
        {"host": "[::1]:3000"},
        {"host": "a:b"},
        {"host": "a:1:2"},
        {"host": ""},
        {"x-forwarded-port": "many"},
        {"mark": "\x00\r\n\x1b"},
    ],
)
def test_a_strange_header_is_no_defect(headers: dict[str, str]) -> None:
    assert get("/notes/7", headers=headers).status == 200


@pytest.mark.parametrize(
    "event",
    [
        {"rawQueryString": "a=\ud800"},
        {"cookies": ["a=\ud800"]},
        {"headers": None},
        {"headers": {"content-type": "text/\udc80"}},
        {"pathParameters": None},
        {"body": "\ud800"},
    ],
)
def test_a_strange_event_is_no_defect(event: dict[str, Any]) -> None:
    assert get("/notes/7", **event).status == 200


def test_a_strange_path_is_not_found() -> None:
    assert get("/notes/\ud800/x").status == 404


@pytest.mark.parametrize("body", ['{"text": "a\ud800"}', '{"\udfff": "a"}', "\ud83d", '{"text": "\ude00\ud83d"}'])
def test_a_surrogate_in_a_body_is_refused(body: str) -> None:
    answer = invoke(handler, http_event("POST", "/notes", body=body))
    assert (answer.status, answer.body["code"]) == (422, "invalid-request")


@pytest.mark.parametrize("body", ["eyJ0ZXh0IjogImEifQ=", "%%%", "é", "\ud800", "/w=="])
def test_a_body_that_is_no_base64_is_refused(body: str) -> None:
    event = http_event("POST", "/notes", body=body) | {"isBase64Encoded": True}
    assert invoke(handler, event).status == 422


def test_a_body_in_base64_is_read() -> None:
    event = http_event("POST", "/notes", body="eyJ0ZXh0IjogImEifQ==") | {"isBase64Encoded": True}
    assert invoke(handler, event).body == {"text": "a"}


@pytest.mark.parametrize(
    ("content_type", "body", "says_json"),
    [("text/plain", '{"text": 7}', True), ("application/json", '{"text": 7}', False), ("text/plain", "x", True)],
)
def test_a_body_of_another_type_is_told_to_be_json(content_type: str, body: str, *, says_json: bool) -> None:
    answer = invoke(handler, http_event("POST", "/notes", body=body, headers={"content-type": content_type}))
    assert ("application/json" in answer.body["detail"], answer.status) == (says_json, 422)
