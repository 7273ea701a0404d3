"""HTTP for every function: the app, dependencies and field types of its routes, problem documents."""

from taskchat.http.app import create_app, lambda_handler
from taskchat.http.dependencies import IDEMPOTENCY_KEY_HEADER, CallerDep, InvocationDep, SecondsLeftDep
from taskchat.http.fields import Body, Id, Text, TimeZone

__all__ = [
    "IDEMPOTENCY_KEY_HEADER",
    "Body",
    "CallerDep",
    "Id",
    "InvocationDep",
    "SecondsLeftDep",
    "Text",
    "TimeZone",
    "create_app",
    "lambda_handler",
]
