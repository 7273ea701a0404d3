"""The event that a function gets, field by field.

The format is https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
"""

import base64
import re

import pytest

from tests.local.gateway.http_client import Client

JSON = ("Content-Type", "application/json")


def test_an_event_has_every_field_of_the_format_and_no_other(client: Client) -> None:
    event = client.event(
        "GET",
        "/items/a%20b?color=red&size=1&size=2&empty=&plus=a+b%2Bc",
        [("User-Agent", "test/1"), ("Cookie", "a=1; b=2"), ("Cookie", "c=3"), ("X-Twice", "1"), ("x-twice", "2")],
    )
    context = event.pop("requestContext")
    headers = event.pop("headers")
    port = str(client.gateway.port)
    assert event == {
        "version": "2.0",
        "routeKey": "GET /items/{id}",
        "rawPath": "/items/a b",
        "rawQueryString": "color=red&size=1&size=2&empty=&plus=a+b%2Bc",
        "cookies": ["a=1", "b=2", "c=3"],
        "queryStringParameters": {"color": "red", "size": "1,2", "empty": "", "plus": "a b+c"},
        "pathParameters": {"id": "a b"},
        "isBase64Encoded": False,
    }
    assert headers == {
        "host": f"127.0.0.1:{port}",
        "accept-encoding": "identity",
        "user-agent": "test/1",
        "x-twice": "1,2",
        "content-length": "0",
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-port": port,
        "x-forwarded-proto": "http",
    }
    claims = context.pop("authorizer")["jwt"]["claims"]
    assert claims["sub"] == "me"
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
    assert context.pop("timeEpoch") > 1_700_000_000_000
    assert context.pop("requestId")
    assert context == {
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": f"127.0.0.1:{port}",
        "domainPrefix": "127",
        "http": {
            "method": "GET",
            "path": "/items/a b",
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": "test/1",
        },
        "routeKey": "GET /items/{id}",
        "stage": "$default",
    }


def test_empty_parts_of_an_event_are_left_out(client: Client) -> None:
    event = client.event("GET", "/echo")
    assert {"cookies", "queryStringParameters", "pathParameters", "body"}.isdisjoint(event)
    assert event["rawQueryString"] == ""


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", "text/plain", "application/problem+json", "TEXT/CSV"],
)
def test_a_text_body_arrives_unchanged(client: Client, content_type: str) -> None:
    event = client.event("POST", "/echo", [("Content-Type", content_type)], "grüße".encode())
    assert (event["body"], event["isBase64Encoded"]) == ("grüße", False)


def test_a_body_without_a_type_is_text(client: Client) -> None:
    assert client.event("POST", "/echo", body=b"hello")["body"] == "hello"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/octet-stream", b"\x00\xff"),
        ("image/png", b"text"),
        ("application/x-www-form-urlencoded", b"a=1"),
        ("application/json", b"\xff\xfe"),
    ],
)
def test_a_body_of_any_other_type_arrives_in_base64(client: Client, content_type: str, body: bytes) -> None:
    event = client.event("POST", "/echo", [("Content-Type", content_type)], body)
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body


def test_a_body_in_chunks_is_put_together(client: Client) -> None:
    answer = client.raw(
        b"POST /echo HTTP/1.1\r\nHost: localhost:1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"3;extension=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: 1\r\n\r\n"
    )
    assert b" 200 " in answer
    assert b'"body": "abcde"' in answer
    assert b'"content-length": "5"' in answer
    assert b"transfer-encoding" not in answer


def test_blanks_and_folds_of_a_header_are_no_part_of_it(client: Client) -> None:
    event = client.event("GET", "/echo", [("X-Blank", " \t a b \t"), ("X-Folded", "a\r\n  b"), ("X-Empty", "  ")])
    headers = event["headers"]
    assert (headers["x-blank"], headers["x-folded"], headers["x-empty"]) == ("a b", "a b", "")


def test_a_target_in_absolute_form_is_its_path(client: Client) -> None:
    assert client.event("GET", f"{client.gateway.url}/echo?a=1")["rawPath"] == "/echo"


def test_the_function_gets_a_context_like_lambdas(client: Client) -> None:
    first, second = (client.send("GET", "/echo").json()["context"] for _ in range(2))
    assert first["function_name"] == "EchoFunction"
    assert first["memory_limit_in_mb"] == "256"
    assert first["invoked_function_arn"].endswith(":function:EchoFunction")
    assert 0 < first["remaining_ms"] <= 60_000
    assert first["aws_request_id"] != second["aws_request_id"]
