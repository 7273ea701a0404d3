"""Parts of the OpenAPI 3.1 document that FastAPI cannot derive from a route: problems, headers, the token.

They are plain data, so a route's declaration costs nothing at run time. Add `COMPONENTS` to the `components` of the
document that an app's `openapi()` returns.
"""

from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from taskchat.errors import (
    DatabaseUnavailableError,
    DatabaseUnusableError,
    InternalError,
    InvalidRequestError,
    RetryableError,
    SecretUnavailableError,
    TaskchatError,
    TooLargeError,
    UnauthenticatedError,
)
from taskchat.http.problems import PROBLEM_MEDIA_TYPE

COMMON_ERRORS: tuple[type[TaskchatError], ...] = (
    UnauthenticatedError,
    InvalidRequestError,
    TooLargeError,
    DatabaseUnavailableError,
    DatabaseUnusableError,
    SecretUnavailableError,
    InternalError,
)
"""Errors of every route that needs a token and the database."""
_GATEWAY_STATUSES = (401, 413, 429, 500, 503)
"""Statuses that API Gateway answers with by itself, as in `{"message": "Unauthorized"}`."""

TOKEN: dict[str, Any] = {"security": [{"token": []}]}
"""`openapi_extra` of a route that needs a token."""
IDEMPOTENCY_KEY_PARAMETER: Mapping[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Names the request, so that it has its effect once however often it is sent. Made up if left out.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
PREFER_PARAMETER: Mapping[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": (
        "`respond-async` asks for 202 at once, and the turn goes on by itself; with `wait=N`, only after N seconds "
        "(RFC 7240)."
    ),
    "schema": {"type": "string", "examples": ["respond-async", "respond-async, wait=20"]},
}
IF_MATCH_PARAMETER: Mapping[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the representation that is to be changed. If it differs by now, the answer is 412.",
    "schema": {"type": "string"},
}
IF_NONE_MATCH_PARAMETER: Mapping[str, Any] = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the representation that the client has. If it is still the same, the answer is 304.",
    "schema": {"type": "string"},
}
ETAG_HEADER: Mapping[str, Any] = {
    "ETag": {"description": "Changes with the representation.", "schema": {"type": "string"}}
}
NOT_MODIFIED: dict[str, Any] = {
    "description": "The representation is as `If-None-Match` names it.",
    "headers": ETAG_HEADER,
}
LOCATION_HEADER: Mapping[str, Any] = {
    "Location": {"description": "Path of the turn.", "schema": {"type": "string", "format": "uri-reference"}},
    "Preference-Applied": {"description": "The preference that was honoured.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}},
}
IDEMPOTENCY_HEADERS: Mapping[str, Any] = {
    "Idempotency-Key": {"description": "The key of the request.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` if the answer was stored by an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
COMPONENTS: Mapping[str, Any] = {
    "securitySchemes": {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Verified by API Gateway."}
    },
    "schemas": {
        "Problem": {
            "type": "object",
            "description": "RFC 9457 problem.",
            "required": ["type", "title", "status", "detail", "code", "request_id", "retryable"],
            "properties": {
                "type": {"type": "string", "format": "uri", "examples": ["urn:taskchat:problem:not-found"]},
                "title": {"type": "string"},
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": {"type": "string"},
                "code": {"type": "string", "description": "Stable name of the kind of problem."},
                "request_id": {"type": "string", "description": "Lambda's request id, which the log holds, too."},
                "retryable": {
                    "type": "boolean",
                    "description": "Whether the same request, with the same Idempotency-Key, can succeed later.",
                },
                "retry_after_seconds": {"type": "integer", "minimum": 1, "description": "As in Retry-After."},
                "fields": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["field", "message"],
                        "properties": {
                            "field": {"type": "string", "examples": ["body.message"]},
                            "message": {"type": "string"},
                        },
                    },
                },
            },
        },
        "GatewayMessage": {
            "type": "object",
            "description": "An answer of API Gateway itself.",
            "required": ["message"],
            "properties": {"message": {"type": "string"}},
        },
    },
}


def problems(*errors: type[TaskchatError]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that can raise `errors`, with API Gateway's own."""
    by_status: dict[int, list[type[TaskchatError]]] = defaultdict(list)
    for error in errors:
        by_status[error.status].append(error)
    return {status: _response(status, by_status[status]) for status in sorted({*by_status, *_GATEWAY_STATUSES})}


def _response(status: int, errors: list[type[TaskchatError]]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if errors:
        examples = {error.code: {"value": _example(error)} for error in errors}
        content[PROBLEM_MEDIA_TYPE] = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    if status in _GATEWAY_STATUSES:
        content["application/json"] = {"schema": {"$ref": "#/components/schemas/GatewayMessage"}}
    titles = "; ".join(error.title for error in errors)
    response: dict[str, Any] = {"description": titles or HTTPStatus(status).phrase, "content": content}
    if any(issubclass(error, RetryableError) for error in errors):
        response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return response


def _example(error: type[TaskchatError]) -> dict[str, Any]:
    example = {
        "type": f"urn:taskchat:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": f"{error.title}.",
        "code": error.code,
        "request_id": "3f0c7c8e-5b0a-4f5e-9d2b-0a6b1c9d8e7f",
        "retryable": error.retryable,
    }
    return {**example, "retry_after_seconds": 2} if issubclass(error, RetryableError) else example
