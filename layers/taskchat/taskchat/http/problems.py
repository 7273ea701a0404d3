"""Errors as RFC 9457 problem documents."""

import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from taskchat.errors import (
    InvalidField,
    InvalidRequestError,
    MethodNotAllowedError,
    NotFoundError,
    RetryableError,
    TaskchatError,
    TooLargeError,
)
from taskchat.monitoring import note_defect, note_problem

PROBLEM_MEDIA_TYPE = "application/problem+json"
_OF_THE_FRAMEWORK: Mapping[int, type[TaskchatError]] = {
    error.status: error for error in (NotFoundError, MethodNotAllowedError, TooLargeError)
}
"""Statuses that Starlette and FastAPI answer with by themselves; any other means an invalid request."""


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""
    app.exception_handler(TaskchatError)(_on_taskchat_error)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(Exception)(_on_defect)


def problem(request: Request, error: TaskchatError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the problem document (RFC 9457, section 3) for an error.

    `retryable` tells whether the same request may be repeated, `retry_after_seconds` and the header `Retry-After` when.
    """
    document: dict[str, Any] = {
        "type": f"urn:taskchat:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        "request_id": getattr(request.scope.get("aws.context"), "aws_request_id", ""),
        "retryable": error.retryable,
    }
    extra = dict(headers or {})
    if isinstance(error, RetryableError):
        document["retry_after_seconds"] = error.retry_after_seconds
        extra["Retry-After"] = str(error.retry_after_seconds)
    if error.turn_id is not None:
        extra["Location"] = turn_location(request, error.turn_id)
    # Headers that a dependency set, such as the idempotency key, belong on a failure, too.
    extra |= getattr(request.state, "response_headers", {})
    return JSONResponse({**document, **error.members()}, error.status, extra, media_type=PROBLEM_MEDIA_TYPE)


def turn_location(request: Request, turn_id: uuid.UUID) -> str:
    """Return the path of a turn's resource, under the prefix at which a custom domain serves this API."""
    return f"{request.scope.get('root_path', '')}/turns/{turn_id}"


def _on_taskchat_error(request: Request, error: TaskchatError) -> JSONResponse:
    note_problem(error)
    return problem(request, error)


def _on_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    fields = [InvalidField(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()]
    is_about_the_body = any(field.field.partition(".")[0] == "body" for field in fields)
    if is_about_the_body and not _is_json(request):
        detail = "Send the body as JSON, with Content-Type: application/json."
    else:
        detail = "Some fields are not valid; see `fields`."
    return problem(request, InvalidRequestError(detail, fields))


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    """Answer an unknown route or method, and a body that the framework cannot read."""
    kind = _OF_THE_FRAMEWORK.get(error.status_code, InvalidRequestError)
    return problem(request, kind(str(error.detail)), error.headers)


def _on_defect(request: Request, error: Exception) -> JSONResponse:
    return problem(request, note_defect(error))
