"""HTTP API events (payload format 2.0) and their context, for the tests, the benchmark and the evals."""

import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

ISSUER = "https://issuer.example"


@dataclass
class LambdaContext:
    """The context of an invocation; `remaining_ms` is fixed unless a test makes it run."""

    remaining_ms: Callable[[], int] = lambda: 29_000
    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:000000000000:function:function"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda would end the invocation."""
        return self.remaining_ms()


@dataclass(frozen=True)
class Answer:
    """A handler's response, its body parsed."""

    status: int
    headers: Mapping[str, str]
    body: Any


def http_event(
    method: str,
    path: str,
    *,
    body: object = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    user: str | None = "ann",
    prefix: str = "",
) -> dict[str, Any]:
    """Return an event; a `body` that is not a string becomes JSON; no `user`, no authorizer.

    `prefix` is a custom domain's mapping key or a stage's name, which stand in the path but not in the route's key.
    """
    path_and_prefix = prefix + path
    request = {"method": method, "path": path_and_prefix, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}
    context: dict[str, Any] = {
        "requestId": str(uuid.uuid4()),
        "timeEpoch": int(time.time() * 1000),
        "http": {**request, "userAgent": "t"},
    }
    if user is not None:
        context["authorizer"] = {"jwt": {"claims": {"iss": ISSUER, "sub": user}, "scopes": None}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path_and_prefix,
        "rawQueryString": urlencode(query or {}),
        "headers": {"content-type": "application/json", "host": "api.example"} | dict(headers or {}),
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
        event["headers"]["content-length"] = str(len(event["body"].encode(errors="surrogatepass")))
    return event


def invoke(handler: Callable[[dict[str, Any], Any], dict[str, Any]], event: dict[str, Any], **context: Any) -> Answer:
    """Call a handler as Lambda does."""
    response = handler(event, LambdaContext(**context))
    headers = {name.lower(): value for name, value in (response.get("headers") or {}).items()}
    body = response.get("body") or ""
    return Answer(response["statusCode"], headers, json.loads(body) if body else None)
