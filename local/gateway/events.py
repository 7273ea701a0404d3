"""Events for functions from HTTP requests: HTTP API, payload format version 2.0.

See https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
"""

import base64
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

_TEXT = re.compile(
    r"\s*(?:text/.*|application/(?:json|javascript|xml)|application/[^;]*\+(?:json|xml))\s*(?:;.*)?", re.IGNORECASE
)
_OF_THE_CONNECTION = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "expect"})


@dataclass(frozen=True)
class Request:
    """An HTTP request. `path` is still percent-encoded; `headers` keep their order and letter case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    port: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:16])

    def joined_headers(self) -> dict[str, str]:
        """Return the headers with names in lower case, duplicates joined by commas, and no cookies."""
        joined: dict[str, str] = {}
        for original, value in self.headers:
            name = original.lower()
            if name not in _OF_THE_CONNECTION | {"cookie", "transfer-encoding"}:
                joined[name] = f"{joined[name]},{value}" if name in joined else value
        return joined

    def cookies(self) -> list[str]:
        """Return the cookies, each as `name=value`."""
        values = [value for name, value in self.headers if name.lower() == "cookie"]
        return [cookie.strip() for value in values for cookie in value.split(";") if cookie.strip()]


def event(
    request: Request, *, route_key: str, path_parameters: Mapping[str, str], claims: Mapping[str, str] | None
) -> dict[str, Any]:
    """Return the event. `claims` are those of the verified token, or None on a route that needs none."""
    headers = {
        **request.joined_headers(),
        "content-length": str(len(request.body)),
        "x-forwarded-for": request.source_ip,
        "x-forwarded-port": str(request.port),
        "x-forwarded-proto": "http",
    }
    now = datetime.now(UTC)
    host = headers.get("host", "127.0.0.1")
    context: dict[str, Any] = {
        "accountId": "000000000000",
        "apiId": "local",
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": {
            "method": request.method,
            "path": unquote(request.path),
            "protocol": "HTTP/1.1",
            "sourceIp": request.source_ip,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request.id,
        "routeKey": route_key,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S %z"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if claims is not None:
        context["authorizer"] = {"jwt": {"claims": dict(claims), "scopes": None}}
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": unquote(request.path),
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": context,
        **_body(request.body, headers.get("content-type", "text/plain")),
    }
    # The format omits these if they are empty.
    optional = {
        "cookies": request.cookies(),
        "queryStringParameters": _query_parameters(request.query),
        "pathParameters": dict(path_parameters),
    }
    return made | {name: value for name, value in optional.items() if value}


def _query_parameters(query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _body(body: bytes, content_type: str) -> dict[str, Any]:
    if not body:
        return {"isBase64Encoded": False}
    if _TEXT.fullmatch(content_type):
        try:
            return {"body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            # Text that is not UTF-8 has to reach the function unchanged.
            return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
