"""HTTP for every function: the app, dependencies and field types of its routes, problem documents."""

from taskchat.http.app import create_app, lambda_handler
from taskchat.http.dependencies import IDEMPOTENCY_KEY_HEADER, InvocationDep, PrincipalDep, SecondsLeftDep
from taskchat.http.fields import Body, Id, Text, TimeZone

__all__ = [
    "IDEMPOTENCY_KEY_HEADER",
    "Body",
    "Id",
    "InvocationDep",
    "PrincipalDep",
    "SecondsLeftDep",
    "Text",
    "TimeZone",
    "create_app",
    "lambda_handler",
]
