"""The response to a client for each return value of a function."""

import base64
import json
from typing import Any

import pytest

from tests.local.gateway.http_client import Client

INTERNAL = (500, {"message": "Internal Server Error"})


def test_a_response_arrives_with_status_headers_cookies_and_body(client: Client) -> None:
    reply = client.returns(
        {
            "statusCode": 409,
            "headers": {"Content-Type": "application/problem+json", "Retry-After": 3, "X-Yes": True},
            "cookies": ["a=1; HttpOnly", "b=2"],
            "body": "grüße",
        }
    )
    assert reply.status == 409
    assert reply.body.decode() == "grüße"
    assert reply.header("content-type") == "application/problem+json"
    assert reply.header("retry-after") == "3"
    assert reply.header("x-yes") == "true"
    assert [value for name, value in reply.headers if name == "set-cookie"] == ["a=1; HttpOnly", "b=2"]
    assert reply.header("content-length") == "7"
    assert reply.header("apigw-requestid")


def test_a_body_in_base64_arrives_as_bytes(client: Client) -> None:
    body = base64.b64encode(b"\x00\xff").decode()
    assert client.returns({"statusCode": "200", "isBase64Encoded": True, "body": body}).body == b"\x00\xff"


def test_no_content_has_no_body_and_the_connection_goes_on(client: Client) -> None:
    reply = client.returns({"statusCode": 204})
    assert (reply.status, reply.body, reply.header("content-length")) == (204, b"", None)


def test_a_body_without_a_type_is_plain_text(client: Client) -> None:
    assert client.returns({"statusCode": 200, "body": "hi"}).header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("value", "body"), [("hello", b"hello"), ({"a": 1}, b'{"a": 1}'), (None, b"null"), ([1], b"[1]")]
)
def test_a_result_without_a_status_is_a_body_in_json(client: Client, value: Any, body: bytes) -> None:
    reply = client.returns(value)
    assert (reply.status, reply.header("content-type"), reply.body) == (200, "application/json", body)


@pytest.mark.parametrize(
    "value",
    [
        {"statusCode": "many"},
        {"statusCode": 99},
        {"statusCode": None},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "?", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"x": "a\r\nset-cookie: b"}},
        {"statusCode": 200, "headers": {"x": "☕"}},
        {"statusCode": 200, "headers": ["x"]},
        {"statusCode": 200, "cookies": "a=1"},
    ],
)
def test_a_malformed_response_is_an_internal_error(
    client: Client, capsys: pytest.CaptureFixture[str], value: dict[str, Any]
) -> None:
    reply = client.returns(value)
    assert (reply.status, reply.json()) == INTERNAL
    assert "EchoFunction: malformed response" in capsys.readouterr().err


def test_a_result_that_is_not_json_is_an_internal_error(client: Client) -> None:
    reply = client.tell({"do": "return no json"})
    assert (reply.status, reply.json()) == INTERNAL


def test_a_stack_trace_goes_to_the_console_only(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    reply = client.tell({"do": "raise", "message": "something \x1b[31mbroke"})
    assert (reply.status, reply.json()) == INTERNAL
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "ValueError: something \\x1b[31mbroke" in shown


def test_a_function_may_end_its_process(client: Client) -> None:
    reply = client.tell({"do": "exit"})
    assert (reply.status, reply.json()) == INTERNAL
    assert client.send("GET", "/echo").status == 200


def test_a_head_request_gets_the_headers_of_the_body_only(client: Client) -> None:
    reply = client.send("HEAD", "/echo")
    assert (reply.status, reply.body) == (200, b"")
    assert int(reply.header("content-length") or 0) > 0


def test_prints_of_a_function_go_to_the_log(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    assert client.tell({"do": "print", "text": "a line of the log"}).status == 200
    assert "a line of the log\n" in client.function_log.read_text(encoding="utf-8")
    assert capfd.readouterr() == ("", "")


def test_a_log_record_of_a_library_is_a_json_line_of_the_log(client: Client, capfd: pytest.CaptureFixture[str]) -> None:
    assert client.tell({"do": "log", "text": "a \x1b[31mwarning"}).status == 200
    line = client.function_log.read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(line) == {"level": "WARNING", "logger": "library", "message": "a \x1b[31mwarning"}
    assert "\x1b" not in line
    assert capfd.readouterr() == ("", "")
