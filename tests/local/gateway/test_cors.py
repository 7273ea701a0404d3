"""Cross-origin requests, as an HTTP API with a CORS configuration treats them."""

import pytest

from local.gateway.cors import CorsRules
from tests.local.gateway.http_client import Client

PREFLIGHT = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")]


def access_control(headers: list[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.startswith("access-control-")}


def test_a_preflight_is_answered_without_a_token_or_a_function(client: Client) -> None:
    reply = client.send("OPTIONS", "/echo", [("Origin", "https://app.example"), *PREFLIGHT])
    assert (reply.status, reply.body) == (204, b"")
    assert access_control(reply.headers) == {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "content-type",
        "access-control-expose-headers": "retry-after",
        "access-control-max-age": "60",
    }


def test_another_origin_is_allowed_nothing(client: Client) -> None:
    reply = client.send("OPTIONS", "/echo", [("Origin", "https://evil.example"), *PREFLIGHT])
    assert (reply.status, access_control(reply.headers)) == (204, {})


@pytest.mark.parametrize(("target", "status"), [("/echo", 200), ("/nothing", 404)])
def test_every_answer_allows_an_allowed_origin_to_read_it(client: Client, target: str, status: int) -> None:
    reply = client.send("GET", target, [("Origin", "https://other.example")])
    assert reply.status == status
    assert access_control(reply.headers) == {
        "access-control-allow-origin": "https://other.example",
        "access-control-expose-headers": "retry-after",
    }


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("*", "null", "*"),
        ("https://*", "https://any.example", "https://any.example"),
        ("https://*", "http://any.example", None),
        ("http://*", "http://localhost:3000", "http://localhost:3000"),
        ("https://app.example", "https://app.example.evil.example", None),
    ],
)
def test_an_origin_may_be_a_pattern(pattern: str, origin: str, allowed: str | None) -> None:
    rules = CorsRules.from_template({"AllowOrigins": [pattern]})
    answer = rules.response_headers({"origin": origin}, preflight=False)
    assert answer.get("access-control-allow-origin") == allowed


def test_cors_headers_of_a_function_are_dropped(client: Client) -> None:
    reply = client.returns({"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}})
    assert access_control(reply.headers) == {}
