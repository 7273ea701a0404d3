"""Errors as RFC 9457 problem documents: the one place that knows which status an error has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit, single_metric
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from taskchat import errors
from taskchat.http.logs import logger

PROBLEM_MEDIA_TYPE = "application/problem+json"
METRICS_NAMESPACE = "Taskchat"
INTERNAL_ERRORS_METRIC = "InternalErrors"


@dataclass(frozen=True)
class ProblemType:
    """One kind of problem: its status, its `code` and the `title` that all problems of the kind share."""

    status: int
    code: str
    title: str


INTERNAL = ProblemType(500, "internal", "Something went wrong on our side")
INVALID_REQUEST = ProblemType(422, "invalid-request", "The request is not valid")
NOT_FOUND = ProblemType(404, "not-found", "Not found")
TOO_LARGE = ProblemType(413, "too-large", "The request is too large")
METHOD_NOT_ALLOWED = ProblemType(405, "method-not-allowed", "The method is not allowed here")

PROBLEM_TYPES: Mapping[type[errors.TaskchatError], ProblemType] = {
    errors.UnauthenticatedError: ProblemType(401, "unauthenticated", "Not signed in"),
    errors.NotFoundError: NOT_FOUND,
    errors.InvalidRequestError: INVALID_REQUEST,
    errors.IdempotencyKeyReusedError: ProblemType(422, "idempotency-key-reused", "The idempotency key was used before"),
    errors.ConversationBusyError: ProblemType(409, "conversation-busy", "The conversation is busy"),
    errors.TurnInProgressError: ProblemType(409, "turn-in-progress", "The request is being worked on"),
    errors.TurnSupersededError: ProblemType(409, "turn-superseded", "The conversation has gone on"),
    errors.ModelRateLimitedError: ProblemType(429, "model-rate-limited", "The model is asked too often"),
    errors.ModelFailedError: ProblemType(502, "model-failed", "The model failed"),
    errors.DatabaseUnavailableError: ProblemType(503, "database-unavailable", "The database is not available"),
    errors.TurnInterruptedError: ProblemType(503, "turn-interrupted", "The turn was interrupted"),
}


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""
    app.exception_handler(errors.TaskchatError)(_on_taskchat_error)
    app.exception_handler(RequestValidationError)(_on_validation_error)
    app.exception_handler(HTTPException)(_on_http_exception)
    app.exception_handler(Exception)(_on_defect)


def problem(
    request: Request,
    kind: ProblemType,
    detail: str,
    *,
    fields: Sequence[errors.InvalidField] = (),
    retry_after_seconds: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the document (RFC 9457, section 3); `fields` and `retry_after_seconds` only where they apply."""
    document: dict[str, Any] = {
        "type": f"urn:taskchat:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": kind.code,
        "request_id": getattr(request.scope.get("aws.context"), "aws_request_id", ""),
    }
    if fields:
        document["fields"] = [{"field": field.field, "message": field.message} for field in fields]
    extra = dict(headers or {})
    if retry_after_seconds is not None:
        extra["Retry-After"] = str(retry_after_seconds)
    # What a dependency set on the response, such as the idempotency key, has to reach the client of a failure, too.
    extra |= getattr(request.state, "response_headers", {})
    return JSONResponse(document, kind.status, extra, media_type=PROBLEM_MEDIA_TYPE)


def note_defect(error: Exception) -> None:
    """Log a defect whole, and count it in a metric that an alarm watches."""
    logger.error("a defect", exc_info=error)
    with single_metric(INTERNAL_ERRORS_METRIC, MetricUnit.Count, 1, namespace=METRICS_NAMESPACE) as metric:
        metric.add_dimension("service", logger.service)


def _on_taskchat_error(request: Request, error: errors.TaskchatError) -> JSONResponse:
    kind = PROBLEM_TYPES[type(error)]
    if kind.status >= 500:
        logger.warning("turned down", code=kind.code, reason=str(error), cause=repr(type(error.__cause__)))
    return problem(
        request,
        kind,
        str(error),
        fields=getattr(error, "fields", ()),
        retry_after_seconds=getattr(error, "retry_after_seconds", None),
    )


def _on_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
    fields = [
        errors.InvalidField(".".join(str(part) for part in fault["loc"]), fault["msg"]) for fault in error.errors()
    ]
    detail = (
        "Some fields do not fit; see `fields`."
        if _is_json(request)
        else "Send JSON, as Content-Type: application/json."
    )
    return problem(request, INVALID_REQUEST, detail, fields=fields)


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _on_http_exception(request: Request, error: HTTPException) -> JSONResponse:
    """Answer what the framework turns down: an unknown route or method, a body that cannot be read."""
    kinds = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED, 413: TOO_LARGE}
    kind = kinds.get(error.status_code, INVALID_REQUEST)
    return problem(request, kind, str(error.detail), headers=error.headers)


def _on_defect(request: Request, error: Exception) -> JSONResponse:
    note_defect(error)
    return problem(request, INTERNAL, "The request could not be answered. It has been noted.")
