"""HTTP for every function: the app, dependencies and field types of its routes, problem documents."""

from taskchat.http.app import create_app, lambda_handler
from taskchat.http.dependencies import (
    IDEMPOTENCY_KEY_HEADER,
    Caller,
    CallerDep,
    Invocation,
    InvocationDep,
    SecondsLeftDep,
)
from taskchat.http.fields import Body, Id, Text, TimeZone
from taskchat.http.preferences import Preference, PreferenceDep
from taskchat.http.problems import turn_location

__all__ = [
    "IDEMPOTENCY_KEY_HEADER",
    "Body",
    "Caller",
    "CallerDep",
    "Id",
    "Invocation",
    "InvocationDep",
    "Preference",
    "PreferenceDep",
    "SecondsLeftDep",
    "Text",
    "TimeZone",
    "create_app",
    "lambda_handler",
    "turn_location",
]
