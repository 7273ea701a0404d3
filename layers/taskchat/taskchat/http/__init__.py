"""HTTP as every function speaks it: the app, its dependencies and fields, and problems."""

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
